//! Pickles, operation by operation, from the opcode table: what an operation takes from the
//! stack is there, or is made first. Some programs are unruly, and some are damaged afterwards,
//! so that a part of them breaks; `tests/corpora.rs` says how many do not.

use arbitrary::{Arbitrary, Result, Unstructured};
use depickle::pickle::Opcode;

use super::operand::{operand, two_lines};
use super::operation::{Kind, Thing, Want, finds, makes, wants};
use super::tables::GLOBALS;
use super::value;

/// Operations of one pickle at most, but for what the last ones take.
const LONGEST: usize = 200;
/// Levels of operands that are made for an operation.
const DEEPEST: u32 = 4;
/// Choices that are set aside for damage, which comes last.
const SET_ASIDE: usize = 24;

/// The pickle that these choices make: by operations, or by writing a graph. Some are damaged.
#[must_use]
pub fn pickle(choices: &[u8]) -> Vec<u8> {
    made(choices).unwrap_or_else(|_| b"N.".to_vec())
}

fn made(choices: &[u8]) -> Result<Vec<u8>> {
    // Choices that have run out say yes to everything, damage as well.
    let (choices, last) = choices.split_at(choices.len().saturating_sub(SET_ASIDE));
    let mut choose = Unstructured::new(choices);
    let (graph, damaged) = (choose.ratio(1, 3)?, !choose.ratio(7, 8)?);
    let mut bytes = if graph {
        value::pickle(&mut choose)?
    } else {
        Program::new(&mut choose)?.run(&mut choose)?
    };
    if damaged {
        damage(&mut Unstructured::new(last), &mut bytes)?;
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
struct Program {
    bytes: Vec<u8>,
    stack: Vec<Thing>,
    /// What stands below is for another operation, and not to be taken.
    floor: usize,
    memo: Vec<(u32, Thing)>,
    /// Where frames begin.
    frames: Vec<usize>,
    written: usize,
    protocol: u8,
    /// Whether operations may come without what they take, and with operands that mean nothing.
    unruly: bool,
    /// Whether all that is left on the stack goes into the result.
    gathers: bool,
}

impl Program {
    fn new(choose: &mut Unstructured) -> Result<Self> {
        let protocol = choose.int_in_range(0..=5)?;
        let (unruly, gathers) = (!choose.ratio(7, 8)?, choose.ratio(15, 16)?);
        Ok(Self {
            bytes: if protocol >= 2 { vec![0x80, protocol] } else { Vec::new() },
            stack: Vec::new(),
            floor: 0,
            memo: Vec::new(),
            frames: Vec::new(),
            written: 0,
            protocol,
            unruly,
            gathers,
        })
    }

    fn run(mut self, choose: &mut Unstructured) -> Result<Vec<u8>> {
        let opcodes: Vec<Opcode> = Opcode::all()
            .filter(|op| op.since() <= self.protocol.max(1))
            .filter(|op| op.name() != "STOP" && op.name() != "PROTO")
            .collect();
        while self.written < LONGEST && !choose.is_empty() {
            let opcode = *choose.choose(&opcodes)?;
            if !self.stumbles(choose)? {
                self.prepare(choose, opcode, DEEPEST, false)?;
            }
            self.write(choose, opcode)?;
        }
        if self.gathers || self.stack.is_empty() {
            self.gather();
        }
        self.bytes.push(b'.');
        self.fit_frames();
        Ok(self.bytes)
    }

    /// Whether something is now done without regard to the rules.
    fn stumbles(&self, choose: &mut Unstructured) -> Result<bool> {
        Ok(self.unruly && !choose.ratio(15, 16)?)
    }

    /// Every other frame reaches to the end, as a pickler's do; the others are short.
    fn fit_frames(&mut self) {
        for &at in self.frames.iter().step_by(2) {
            let left = self.bytes.len().saturating_sub(at + 8) as u64;
            if let Some(len) = self.bytes.get_mut(at..at + 8) {
                len.copy_from_slice(&left.to_le_bytes());
            }
        }
    }

    /// Puts all that is left into one tuple.
    fn gather(&mut self) {
        while let Some(last) = self.stack.pop() {
            match (last.kind, self.stack.last().map(|below| below.kind)) {
                (Kind::Mark, _) => self.bytes.push(b't'),
                (_, Some(Kind::Mark)) => {
                    self.stack.pop();
                    self.bytes.push(b't');
                }
                (_, Some(_)) => {
                    self.stack.pop();
                    self.bytes.push(0x86);
                }
                (_, None) => return,
            }
            self.stack.push(Thing { kind: Kind::Tuple, key: false });
        }
        self.bytes.push(b'N');
    }

    /// Makes what an operation takes, unless it is there; `keyed` if it is to be a key.
    fn prepare(
        &mut self,
        choose: &mut Unstructured,
        opcode: Opcode,
        depth: u32,
        keyed: bool,
    ) -> Result<()> {
        let mut wants = wants(opcode);
        if keyed && makes(opcode) == Some(Kind::Tuple) {
            for want in &mut wants {
                match want {
                    Want::Any => *want = Want::Key,
                    Want::Many => *want = Want::Keys,
                    _ => {}
                }
            }
        }
        if finds(self.stack.get(self.floor..).unwrap_or_default(), &wants) {
            return Ok(());
        }
        for want in wants {
            match want {
                Want::Mark => self.operation("MARK", b""),
                Want::Many | Want::Keys | Want::Pairs => self.slice(choose, want, depth)?,
                want => self.make(choose, want, depth)?,
            }
        }
        Ok(())
    }

    fn slice(&mut self, choose: &mut Unstructured, want: Want, depth: u32) -> Result<()> {
        for _ in 0..choose.int_in_range(0..=3)? {
            match want {
                Want::Pairs => {
                    self.make(choose, Want::Key, depth)?;
                    self.make(choose, Want::Any, depth)?;
                }
                Want::Keys => self.make(choose, Want::Key, depth)?,
                _ => self.make(choose, Want::Any, depth)?,
            }
        }
        Ok(())
    }

    /// One object that is wanted, on top of what is there already.
    fn make(&mut self, choose: &mut Unstructured, want: Want, depth: u32) -> Result<()> {
        let floor = std::mem::replace(&mut self.floor, self.stack.len());
        let made = self.make_one(choose, want, depth);
        self.floor = floor;
        made
    }

    /// One object: new, or from the memo.
    fn make_one(&mut self, choose: &mut Unstructured, want: Want, depth: u32) -> Result<()> {
        if choose.ratio(1, 5)? {
            let known: Vec<(u32, Thing)> =
                self.memo.iter().filter(|(_, thing)| thing.is(want)).copied().collect();
            if !known.is_empty() {
                let (index, thing) = *choose.choose(&known)?;
                return self.get(choose, index, thing);
            }
        }
        let simple = depth == 0 || self.written >= LONGEST;
        if matches!(want, Want::Any) && !simple && choose.ratio(1, 4)? {
            return self.call(choose, depth);
        }
        let keyed = matches!(want, Want::Key);
        let suits = |opcode: &Opcode| {
            let Some(kind) = makes(*opcode) else { return false };
            let key = !matches!(kind, Kind::List | Kind::Dict | Kind::Set | Kind::ByteArray);
            let wanted = Thing { kind, key }.is(want);
            wanted && (!simple || opcode.pops().is_empty())
        };
        let opcodes: Vec<Opcode> = Opcode::all().filter(suits).collect();
        if opcodes.is_empty() {
            self.operation("NONE", b"");
            return Ok(());
        }
        let opcode = *choose.choose(&opcodes)?;
        self.prepare(choose, opcode, depth.saturating_sub(1), keyed)?;
        self.write(choose, opcode)
    }

    /// What the memo holds under an index, by one of the operations that reach as far.
    fn get(&mut self, choose: &mut Unstructured, index: u32, thing: Thing) -> Result<()> {
        match (choose.int_in_range(0..=2)?, u8::try_from(index)) {
            (0, _) => self.bytes.extend(format!("g{index}\n").into_bytes()),
            (1, Ok(index)) => self.bytes.extend([b'h', index]),
            _ => {
                self.bytes.push(b'j');
                self.bytes.extend(index.to_le_bytes());
            }
        }
        self.stack.push(thing);
        self.written += 1;
        Ok(())
    }

    /// A global, called or made an instance of, perhaps with a state.
    fn call(&mut self, choose: &mut Unstructured, depth: u32) -> Result<()> {
        self.global(choose)?;
        if choose.ratio(1, 6)? {
            return Ok(());
        }
        self.operation("MARK", b"");
        for _ in 0..choose.int_in_range(0..=3)? {
            self.make(choose, Want::Any, depth.saturating_sub(1))?;
        }
        self.operation("TUPLE", b"");
        self.operation(choose.choose(&["REDUCE", "NEWOBJ"])?, b"");
        if choose.ratio(1, 3)? {
            self.make(choose, Want::Any, depth.saturating_sub(1))?;
            self.operation("BUILD", b"");
        }
        Ok(())
    }

    fn global(&mut self, choose: &mut Unstructured) -> Result<()> {
        let (module, name) = choose.choose(&GLOBALS)?;
        self.operation("GLOBAL", &two_lines(module, name));
        Ok(())
    }

    /// Writes an operation with an operand that suits it.
    fn write(&mut self, choose: &mut Unstructured, opcode: Opcode) -> Result<()> {
        match opcode.name() {
            "PUT" | "BINPUT" | "LONG_BINPUT" | "MEMOIZE" => return self.put(choose, opcode),
            "GET" | "BINGET" | "LONG_BINGET" if !self.stumbles(choose)? => {
                if self.memo.is_empty() {
                    return Ok(());
                }
                let (index, thing) = *choose.choose(&self.memo)?;
                return self.get(choose, index, thing);
            }
            "STACK_GLOBAL" => self.name(choose)?,
            "FRAME" => self.frames.push(self.bytes.len() + 1),
            _ => {}
        }
        let sound = !self.stumbles(choose)?;
        let operand = operand(choose, opcode, sound)?;
        self.operation(opcode.name(), &operand);
        Ok(())
    }

    /// Puts a name of the tables in place of the two texts on the stack.
    fn name(&mut self, choose: &mut Unstructured) -> Result<()> {
        if choose.ratio(7, 8)? {
            let (module, name) = choose.choose(&GLOBALS)?;
            self.bytes.extend(b"00");
            for text in [module, name] {
                let text = &text.as_bytes()[..text.len().min(255)];
                self.bytes.extend([0x8c, u8::try_from(text.len()).unwrap_or(0)]);
                self.bytes.extend(text);
            }
        }
        Ok(())
    }

    fn put(&mut self, choose: &mut Unstructured, opcode: Opcode) -> Result<()> {
        let Some(&thing) = self.stack.last().filter(|thing| thing.kind != Kind::Mark) else {
            return Ok(());
        };
        let index = match opcode.name() {
            "MEMOIZE" => u32::try_from(self.memo.len()).unwrap_or(0),
            "LONG_BINPUT" if !choose.ratio(15, 16)? => u32::arbitrary(choose)?,
            _ => choose.int_in_range(0..=20)?,
        };
        let operand = match opcode.name() {
            "PUT" => format!("{index}\n").into_bytes(),
            "BINPUT" => vec![u8::try_from(index).unwrap_or(0)],
            "LONG_BINPUT" => index.to_le_bytes().to_vec(),
            _ => Vec::new(),
        };
        self.memo.retain(|(known, _)| *known != index);
        self.memo.push((index, thing));
        self.operation(opcode.name(), &operand);
        Ok(())
    }

    /// Writes an operation, and does to the stack what it does.
    fn operation(&mut self, name: &str, operand: &[u8]) {
        let Some(opcode) = Opcode::from_name(name) else { return };
        self.bytes.push(opcode.byte());
        self.bytes.extend(operand);
        self.written += 1;
        let pops = opcode.pops();
        let from = match pops.iter().position(|&kind| kind == "mark") {
            Some(before) => {
                let mark = self.stack.iter().rposition(|thing| thing.kind == Kind::Mark);
                mark.unwrap_or(0).saturating_sub(before)
            }
            None => self.stack.len().saturating_sub(pops.len()),
        };
        let took = self.stack.split_off(from);
        self.stack.extend(Thing::left(opcode, &took));
    }
}
