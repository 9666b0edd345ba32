//! Where operations go: in frames since protocol 4, cut where CPython cuts them.

use std::io::{self, Write};

use crate::pickle::opcode::codes;

/// Bytes on their way to a sink, at most a frame of them held.
pub(super) struct Out<'sink> {
    sink: &'sink mut dyn Write,
    buffer: Vec<u8>,
    framed: bool,
    written: u64,
}

impl<'sink> Out<'sink> {
    /// A frame is closed at the first object that begins behind so many bytes.
    const TARGET: usize = 64 * 1024;
    /// What is shorter goes without a frame.
    const SHORTEST: usize = 4;

    pub(super) fn new(sink: &'sink mut dyn Write) -> Self {
        let buffer = Vec::with_capacity(Self::TARGET.saturating_mul(2));
        Self { sink, buffer, framed: false, written: 0 }
    }

    /// From here on, in frames. What came before stands outside of them.
    pub(super) fn frame(&mut self) -> io::Result<()> {
        self.flush()?;
        self.framed = true;
        Ok(())
    }

    #[inline]
    pub(super) fn byte(&mut self, byte: u8) {
        self.buffer.push(byte);
    }

    #[inline]
    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// An opcode with an operand of fixed size.
    #[inline(always)]
    pub(super) fn op<const N: usize>(&mut self, opcode: u8, operand: [u8; N]) {
        /// No operand of fixed size has more.
        const MOST: usize = 9;
        const { assert!(N <= MOST, "an operand fits") }
        // Moved as one word and cut afterwards: one look at the room instead of two.
        let mut word = [opcode; MOST];
        for (to, from) in word.iter_mut().skip(1).zip(operand) {
            *to = from;
        }
        let len = self.buffer.len().saturating_add(N).saturating_add(1);
        self.buffer.extend_from_slice(&word);
        self.buffer.truncate(len);
    }

    /// An object begins: a full frame ends here.
    #[inline]
    pub(super) fn boundary(&mut self) -> io::Result<()> {
        if self.buffer.len() >= Self::TARGET { self.flush() } else { Ok(()) }
    }

    /// An opcode with its length, and the bytes that follow. Many of them are in no frame.
    #[inline]
    pub(super) fn payload(&mut self, head: &[u8], bytes: &[u8]) -> io::Result<()> {
        if bytes.len() >= Self::TARGET {
            return self.large(head, bytes);
        }
        self.bytes(head);
        self.bytes(bytes);
        Ok(())
    }

    #[cold]
    fn large(&mut self, head: &[u8], bytes: &[u8]) -> io::Result<()> {
        self.flush()?;
        for part in [head, bytes] {
            self.sink.write_all(part)?;
            self.written = self.written.saturating_add(part.len() as u64);
        }
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        let len = self.buffer.len();
        if self.framed && len >= Self::SHORTEST {
            let mut head = [codes::FRAME; 9];
            if let Some(operand) = head.get_mut(1..) {
                operand.copy_from_slice(&(len as u64).to_le_bytes());
            }
            self.sink.write_all(&head)?;
            self.written = self.written.saturating_add(head.len() as u64);
        }
        self.sink.write_all(&self.buffer)?;
        self.written = self.written.saturating_add(len as u64);
        self.buffer.clear();
        Ok(())
    }

    /// Hands over what is left. Returns how many bytes went out in all.
    pub(super) fn finish(mut self) -> io::Result<u64> {
        self.flush()?;
        Ok(self.written)
    }
}
