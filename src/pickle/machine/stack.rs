//! The machine's stack and memo, and places of operands in the stream.

use super::{Machine, Step};
use crate::base::Cursor;
use crate::pickle::error::Kind;
use crate::pickle::graph::{Node, NodeId, Span};
use crate::pickle::opcode::codes;

impl Machine<'_> {
    #[inline(always)]
    pub(super) fn push(&mut self, id: NodeId) -> Step {
        Ok(self.build.budget().push(&mut self.stack, id)?)
    }

    #[inline(always)]
    pub(super) fn add(&mut self, node: Node) -> Step {
        let id = self.build.add(node)?;
        self.push(id)
    }

    /// Carries out the BININT1s in a row that come next, as far as there is room: lists of small
    /// integers are read as fast as their bytes. Nothing of it can fail.
    #[inline(always)]
    pub(super) fn push_row(&mut self, cursor: &mut Cursor<'_>) {
        let rest = cursor.rest();
        if rest.first() == Some(&codes::BININT1) {
            let len = self.push_bytes(rest);
            cursor.leave(rest.len().saturating_sub(len));
        }
    }

    /// Carries out the BININT1s at the beginning of `rest`, and says how many bytes they take.
    #[inline(never)]
    fn push_bytes(&mut self, rest: &[u8]) -> usize {
        let room = self.stack.capacity().saturating_sub(self.stack.len());
        let (pairs, _) = rest.as_chunks::<2>();
        let pairs = pairs.get(..room).unwrap_or(pairs);
        let len = pairs.iter().take_while(|[opcode, _]| *opcode == codes::BININT1).count();
        let row = pairs.get(..len).unwrap_or_default();
        self.stack.extend(row.iter().map(|&[_, value]| NodeId::byte(value)));
        len.saturating_mul(2)
    }

    /// The height below which the newest mark lets nothing be taken.
    #[inline(always)]
    pub(super) fn fence(&self) -> usize {
        self.marks.last().copied().unwrap_or(0)
    }

    #[inline(always)]
    pub(super) fn pop(&mut self) -> Step<NodeId> {
        if self.stack.len() <= self.fence() {
            return Err(Kind::Underflow.into());
        }
        let Some(top) = self.stack.pop() else { return Err(Kind::Underflow.into()) };
        Ok(top)
    }

    #[inline(always)]
    pub(super) fn top(&self) -> Step<NodeId> {
        match self.stack.last() {
            Some(&top) if self.stack.len() > self.fence() => Ok(top),
            _ => Err(Kind::Underflow.into()),
        }
    }

    /// The height `n` objects below the top.
    #[inline(always)]
    pub(super) fn below_top(&self, n: usize) -> Step<usize> {
        let height = self.stack.len().checked_sub(n).filter(|&height| height >= self.fence());
        height.ok_or_else(|| Kind::Underflow.into())
    }

    /// The object right below `height`, which no mark protects.
    #[inline(always)]
    pub(super) fn below(&self, height: usize) -> Step<NodeId> {
        let at = height.checked_sub(1).filter(|&at| at >= self.fence());
        at.and_then(|at| self.stack.get(at)).copied().ok_or_else(|| Kind::Underflow.into())
    }

    #[inline(always)]
    pub(super) fn pop_mark(&mut self) -> Step<usize> {
        self.marks.pop().ok_or_else(|| Kind::NoMark.into())
    }

    /// POP takes a mark if nothing stands above it.
    pub(super) fn pop_any(&mut self) -> Step {
        if self.marks.last() == Some(&self.stack.len()) {
            self.marks.pop();
            return Ok(());
        }
        self.pop().map(drop)
    }

    #[inline(always)]
    pub(super) fn above(&self, height: usize) -> &[NodeId] {
        self.stack.get(height..).unwrap_or_default()
    }

    /// Puts `id` in the place of everything above `height`.
    #[inline(always)]
    pub(super) fn replace(&mut self, height: usize, id: NodeId) -> Step {
        self.stack.truncate(height);
        self.push(id)
    }

    // The memo.

    #[inline(always)]
    pub(super) fn get(&mut self, index: u64) -> Step {
        let Some(id) = self.memo.get(index) else { return Err(Kind::NotInMemo(index).into()) };
        self.push(id)
    }

    #[inline(always)]
    pub(super) fn put(&mut self, index: u64) -> Step {
        let top = self.top()?;
        Ok(self.memo.put(index, top, &mut self.build)?)
    }

    // Places in the stream.

    /// The span of an operand that ends where the operation ends.
    #[inline(always)]
    pub(super) fn span(&self, bytes: &[u8]) -> Span {
        let len = bytes.len() as u64;
        Span { start: (self.end as u64).saturating_sub(len), len, decoded: false }
    }

    /// The span of a line operand: its newline ends the operation.
    pub(super) fn line_span(&self, line: &[u8]) -> Span {
        let Span { start, len, decoded } = self.span(line);
        Span { start: start.saturating_sub(1), len, decoded }
    }
}
