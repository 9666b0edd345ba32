//! Pickles, operation by operation, from the opcode table: what an operation takes from the
//! stack is there, as a rule, or is made first.

use arbitrary::{Arbitrary, Result, Unstructured};
use depickle::pickle::{Form, Opcode};

use super::tables::GLOBALS;
use super::value;

/// Operations of one pickle at most.
const LONGEST: usize = 200;
/// Levels of operands that are made for an operation.
const DEEPEST: u32 = 4;

/// The pickle that these choices make: by operations, or by writing a graph. Some are damaged.
#[must_use]
pub fn pickle(choices: &[u8]) -> Vec<u8> {
    let mut choose = Unstructured::new(choices);
    made(&mut choose).unwrap_or_else(|_| b"N.".to_vec())
}

fn made(choose: &mut Unstructured) -> Result<Vec<u8>> {
    let graph = choose.ratio(1, 3)?;
    let mut bytes = if graph { value::pickle(choose)? } else { Program::default().run(choose)? };
    if choose.ratio(1, 8)? {
        damage(choose, &mut bytes)?;
    }
    Ok(bytes)
}

/// Changes, drops or repeats a few bytes.
pub(super) fn damage(choose: &mut Unstructured, bytes: &mut Vec<u8>) -> Result<()> {
    for _ in 0..choose.int_in_range(1..=3)? {
        let at = choose.choose_index(bytes.len().max(1))?;
        let end = bytes.len().min(at + choose.int_in_range(1..=8)?);
        let Some(part) = bytes.get(at..end) else { break };
        match choose.int_in_range(0..=3)? {
            0 => bytes[at] = u8::arbitrary(choose)?,
            1 => drop(bytes.drain(at..end)),
            2 => {
                let part = part.to_vec();
                bytes.splice(at..at, part);
            }
            _ => bytes.truncate(end),
        }
        if bytes.is_empty() {
            break;
        }
    }
    Ok(())
}

/// What was written so far, and what it leaves on the stack.
#[derive(Default)]
struct Program {
    bytes: Vec<u8>,
    /// What stands on the stack, in the table's words.
    stack: Vec<&'static str>,
    /// Kinds of what the memo holds.
    memo: Vec<(u32, &'static str)>,
    written: usize,
}

impl Program {
    fn run(mut self, choose: &mut Unstructured) -> Result<Vec<u8>> {
        let protocol = choose.int_in_range(0..=5)?;
        if protocol >= 2 {
            self.bytes.extend([0x80, protocol]);
        }
        let opcodes: Vec<Opcode> =
            Opcode::all().filter(|op| op.since() <= protocol.max(1)).collect();
        while self.written < LONGEST && !choose.is_empty() {
            let opcode = *choose.choose(&opcodes)?;
            if opcode.name() == "STOP" || opcode.name() == "PROTO" {
                continue;
            }
            // Now and then an operation comes as it comes.
            if !choose.ratio(1, 32)? {
                self.prepare(choose, opcode, DEEPEST)?;
            }
            self.write(choose, opcode)?;
        }
        if choose.ratio(7, 8)? {
            self.gather();
        }
        self.bytes.push(b'.');
        Ok(self.bytes)
    }

    /// Puts all that is left into one tuple.
    fn gather(&mut self) {
        while let Some(last) = self.stack.pop() {
            match (last, self.stack.last()) {
                ("mark", _) => self.bytes.push(b't'),
                (_, Some(&"mark")) => {
                    self.stack.pop();
                    self.bytes.push(b't');
                }
                (_, Some(_)) => {
                    self.stack.pop();
                    self.bytes.push(0x86);
                }
                (_, None) => return,
            }
            self.stack.push("tuple");
        }
        self.bytes.push(b'N');
    }

    /// Makes what an operation takes, unless it is there.
    fn prepare(&mut self, choose: &mut Unstructured, opcode: Opcode, depth: u32) -> Result<()> {
        let pops = opcode.pops();
        if self.has(pops) || self.written >= LONGEST {
            return Ok(());
        }
        for &kind in pops {
            match kind {
                "mark" => self.operation("MARK", b""),
                "slice" => self.slice(choose, opcode, depth)?,
                kind => self.make(choose, kind, depth)?,
            }
        }
        Ok(())
    }

    fn slice(&mut self, choose: &mut Unstructured, opcode: Opcode, depth: u32) -> Result<()> {
        let pairs = matches!(opcode.name(), "DICT" | "SETITEMS");
        let count = choose.int_in_range(0..=3)? * if pairs { 2 } else { 1 };
        for index in 0..count {
            let key = pairs && index % 2 == 0;
            self.make(choose, if key { "str" } else { "any" }, depth)?;
        }
        Ok(())
    }

    /// Whether the stack ends in these kinds.
    fn has(&self, pops: &[&str]) -> bool {
        let Some(mark) = pops.iter().position(|&kind| kind == "mark") else {
            let start = self.stack.len().checked_sub(pops.len());
            let top = start.and_then(|start| self.stack.get(start..));
            return top.is_some_and(|top| top.iter().zip(pops).all(|(has, want)| fits(has, want)));
        };
        let Some(at) = self.stack.iter().rposition(|&kind| kind == "mark") else { return false };
        let Some(start) = at.checked_sub(mark) else { return false };
        self.stack[start..at].iter().zip(pops).all(|(has, want)| fits(has, want))
    }

    /// One object of this kind: new, or from the memo.
    fn make(&mut self, choose: &mut Unstructured, kind: &'static str, depth: u32) -> Result<()> {
        if choose.ratio(1, 5)? {
            let known: Vec<u32> = self
                .memo
                .iter()
                .filter(|(_, has)| fits(has, kind))
                .map(|(index, _)| *index)
                .collect();
            if !known.is_empty() {
                let index = *choose.choose(&known)?;
                return Ok(self.get(index, kind));
            }
        }
        if kind == "any" && choose.ratio(1, 4)? {
            return self.call(choose, depth);
        }
        let simple = depth == 0 || self.written >= LONGEST;
        let makes = |opcode: &Opcode| {
            let pushes = opcode.pushes();
            let leaves = pushes.len() == 1 && fits(pushes[0], kind) && pushes[0] != "mark";
            leaves && (opcode.pops().is_empty() || !simple) && !opcode.name().contains("GET")
        };
        let opcodes: Vec<Opcode> = Opcode::all().filter(makes).collect();
        if opcodes.is_empty() {
            self.operation("NONE", b"");
            return Ok(());
        }
        let opcode = *choose.choose(&opcodes)?;
        self.prepare(choose, opcode, depth.saturating_sub(1))?;
        self.write(choose, opcode)
    }

    fn get(&mut self, index: u32, kind: &'static str) {
        self.bytes.push(b'j');
        self.bytes.extend(index.to_le_bytes());
        self.stack.push(kind);
        self.written += 1;
    }

    /// A global, called or made an instance of, perhaps with a state.
    fn call(&mut self, choose: &mut Unstructured, depth: u32) -> Result<()> {
        self.global(choose)?;
        if choose.ratio(1, 6)? {
            return Ok(());
        }
        self.operation("MARK", b"");
        for _ in 0..choose.int_in_range(0..=3)? {
            self.make(choose, "any", depth.saturating_sub(1))?;
        }
        self.simply("TUPLE");
        self.simply(choose.choose(&["REDUCE", "NEWOBJ"])?);
        if choose.ratio(1, 3)? {
            self.make(choose, "any", depth.saturating_sub(1))?;
            self.simply("BUILD");
        }
        Ok(())
    }

    fn global(&mut self, choose: &mut Unstructured) -> Result<()> {
        let (module, name) = choose.choose(&GLOBALS)?;
        self.operation("GLOBAL", format!("{module}\n{name}\n").as_bytes());
        Ok(())
    }

    fn simply(&mut self, name: &str) {
        self.operation(name, b"");
    }

    /// Writes an operation with an operand that suits it.
    fn write(&mut self, choose: &mut Unstructured, opcode: Opcode) -> Result<()> {
        match opcode.name() {
            "GLOBAL" if choose.ratio(7, 8)? => return self.global(choose),
            "PUT" | "BINPUT" | "LONG_BINPUT" | "MEMOIZE" => return self.put(choose, opcode),
            "GET" | "BINGET" | "LONG_BINGET" if choose.ratio(7, 8)? => {
                if let Some(&(index, kind)) = self.memo.last() {
                    self.get(index, kind);
                }
                return Ok(());
            }
            "STACK_GLOBAL" => {
                // Its texts are names.
                self.bytes.extend(b"00");
                let (module, name) = choose.choose(&GLOBALS)?;
                for text in [module, name] {
                    self.bytes.extend([0x8c, u8::try_from(text.len()).unwrap_or(0)]);
                    self.bytes.extend(text.bytes().take(255));
                }
            }
            _ => {}
        }
        let operand = operand(choose, opcode)?;
        self.operation(opcode.name(), &operand);
        Ok(())
    }

    fn put(&mut self, choose: &mut Unstructured, opcode: Opcode) -> Result<()> {
        let Some(&kind) = self.stack.last().filter(|&&kind| kind != "mark") else { return Ok(()) };
        let index = match opcode.name() {
            "MEMOIZE" => u32::try_from(self.memo.len()).unwrap_or(0),
            "LONG_BINPUT" if choose.ratio(1, 16)? => u32::arbitrary(choose)?,
            _ => choose.int_in_range(0..=20)?,
        };
        let operand = match opcode.form() {
            Form::line => format!("{index}\n").into_bytes(),
            Form::uint1 => vec![u8::try_from(index).unwrap_or(0)],
            Form::uint4 => index.to_le_bytes().to_vec(),
            _ => Vec::new(),
        };
        self.memo.retain(|(known, _)| *known != index);
        self.memo.push((index, kind));
        self.operation(opcode.name(), &operand);
        Ok(())
    }

    /// Writes an operation, and does to the stack what the table says.
    fn operation(&mut self, name: &str, operand: &[u8]) {
        let Some(opcode) = Opcode::from_name(name) else { return };
        self.bytes.push(opcode.byte());
        self.bytes.extend(operand);
        self.written += 1;
        let pops = opcode.pops();
        let mark = pops.iter().position(|&kind| kind == "mark");
        if let Some(before) = mark {
            let at = self.stack.iter().rposition(|&kind| kind == "mark").unwrap_or(0);
            self.stack.truncate(at.saturating_sub(before));
        } else {
            self.stack.truncate(self.stack.len().saturating_sub(pops.len()));
        }
        self.stack.extend(opcode.pushes());
    }
}

/// Whether what stands there will do, as far as the table's words go.
fn fits(has: &str, want: &str) -> bool {
    match want {
        "any" => has != "mark",
        "str" => matches!(has, "str" | "bytes_or_str"),
        "int" => matches!(has, "int" | "int_or_bool"),
        // What a call made may be anything.
        "list" | "dict" | "set" => has == want || has == "any",
        _ => has == want,
    }
}

/// Texts with something about them.
const TEXTS: &[&[u8]] = &[
    b"",
    b"a",
    b"0",
    b"1",
    b"-1",
    b"name",
    b"storage",
    b"cpu",
    b"cuda:0",
    b"weight",
    b"\xc3\xa9",
    b"\xff",
    b"\xed\xa0\x80",
    b"\0",
    b"$id",
    b"latin1",
    b"little",
    b"<f4",
    b"2001-02-03",
];

const LINES: &[&[u8]] = &[
    b"0",
    b"1",
    b"00",
    b"01",
    b"-7",
    b"12345678901234567890",
    b"99L",
    b"0x1f",
    b"1.5",
    b"nan",
    b"inf",
    b"1e400",
    b"'a'",
    b"\"b\\x41\"",
    b"\\u20ac",
    b"a b",
    b"",
    b"1_0",
    b"m",
];

fn operand(choose: &mut Unstructured, opcode: Opcode) -> Result<Vec<u8>> {
    let text = if choose.ratio(3, 4)? {
        choose.choose(TEXTS)?.to_vec()
    } else {
        let len = choose.int_in_range(0..=20)?;
        choose.bytes(len.min(choose.len()))?.to_vec()
    };
    let len = text.len();
    let small: u32 =
        if choose.ratio(3, 4)? { choose.int_in_range(0..=4)? } else { u32::arbitrary(choose)? };
    let line = |choose: &mut Unstructured| -> Result<Vec<u8>> {
        let line = if choose.ratio(15, 16)? {
            choose.choose(LINES)?.to_vec()
        } else {
            text.iter().copied().filter(|&byte| byte != b'\n').collect()
        };
        Ok([&line[..], b"\n"].concat())
    };
    Ok(match opcode.form() {
        Form::none => Vec::new(),
        Form::uint1 => vec![small.to_le_bytes()[0]],
        Form::uint2 => small.to_le_bytes()[..2].to_vec(),
        Form::uint4 | Form::int4 => small.to_le_bytes().to_vec(),
        Form::uint8 => u64::from(small).to_le_bytes().to_vec(),
        Form::float8 => f64::arbitrary(choose)?.to_be_bytes().to_vec(),
        Form::len1 => [&[u8::try_from(len).unwrap_or(0)], &text[..]].concat(),
        Form::len4 | Form::len4s => {
            [&u32::try_from(len).unwrap_or(0).to_le_bytes()[..], &text].concat()
        }
        Form::len8 => [&(len as u64).to_le_bytes()[..], &text].concat(),
        Form::line => line(choose)?,
        Form::line2 => [line(choose)?, line(choose)?].concat(),
    })
}
