//! Checkpoints: tensors, storages and modules in what PyTorch saved.

pub mod module;
