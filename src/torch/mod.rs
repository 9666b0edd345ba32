//! Checkpoints: tensors, storages and modules in what PyTorch saved.
