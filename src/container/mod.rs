//! Archives: bytes ⇄ named members.
