//! `dis`: every pickle of a file, operation by operation.

mod json;
mod operand;
mod text;
mod verdict;

use std::io::{self, BufWriter, Write};

use bytes::Bytes;
use depickle::pickle::{
    self, Annotated, AnnotatedLine, Content, Disassembly, InlineArray, Op, Policy,
};
use depickle::torch::{Error, Stretch, stretches};
use depickle::{Budget, FileOffset, Limits, Source};

use self::json::Records;
use self::text::Listing;
use crate::args::Dis;
use crate::input::{self, label};
use crate::output::{self, Answer, Failure, Form};

/// One pickle, or what stands in its place.
struct Pickle<'file> {
    member: Option<&'file str>,
    /// Its offsets count from the member's own beginning.
    inflated: bool,
    /// How many came before in the member or file.
    index: usize,
    at: FileOffset,
    /// Why it breaks, if it does.
    broken: Option<pickle::Error>,
}

/// Bytes that are no operations.
struct Other<'file> {
    at: FileOffset,
    len: u64,
    /// The first of them.
    head: &'file [u8],
    what: What,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum What {
    /// Behind the last pickle, and none.
    Rest,
    /// The storages of PyTorch's older layout.
    Storages,
    /// Where a pickle breaks.
    Undecodable,
    /// An array that joblib wrote between operations.
    Array,
}

/// How it is told.
trait Teller {
    fn begin(&mut self, pickle: &Pickle) -> io::Result<()>;
    fn line(&mut self, pickle: &Pickle, line: &AnnotatedLine) -> io::Result<()>;
    fn other(&mut self, pickle: &Pickle, other: &Other) -> io::Result<()>;
    fn end(&mut self) -> io::Result<()>;
}

pub(crate) fn run(args: &Dis) -> Result<Answer, Failure> {
    let path = label(&args.file);
    let limits = args.limits();
    let name = |why: Error| Failure::Other(format!("{path}: {why}"));
    let source = input::source(&args.file, &limits).map_err(|why| name(why.into()))?;
    let policy = args.extension.iter().fold(Policy::inspect(), |policy, extension| {
        policy.with_extension(extension.code, &extension.module, &extension.name)
    });
    let stdout = anstream::stdout().lock();
    let coloured = stdout.current_choice() != anstream::ColorChoice::Never;
    // To look for colours takes longer than all else.
    let out: Box<dyn Write> =
        if coloured { Box::new(stdout) } else { Box::new(stdout.into_inner()) };
    let mut out = BufWriter::with_capacity(64 << 10, out);
    let teller: Box<dyn Teller + '_> = match Form::new(args.json, args.jsonl) {
        _ if args.asm => return assembly(args, &*source, &limits, &mut out),
        Form::Text => Box::new(Listing::new(&mut out, coloured)),
        form => Box::new(Records::new(&mut out, form, &path)),
    };
    let mut walk = Walk { args, limits: &limits, policy, teller, errors: Vec::new(), found: false };
    for stretch in stretches(&*source, &limits).map_err(name)? {
        match stretch {
            Ok(stretch) if args.takes(&stretch) => walk.stretch(stretch)?,
            Ok(_) => {}
            Err(why) => walk.errors.push(why.to_string()),
        }
    }
    walk.teller.end()?;
    let Walk { errors, found, .. } = walk;
    if !found && errors.is_empty() {
        return Err(Failure::Other(args.nothing(&path)));
    }
    for why in &errors {
        output::error(&format!("{path}: {why}"));
    }
    Ok(if errors.is_empty() { Answer::Well } else { Answer::Failed })
}

struct Walk<'run> {
    args: &'run Dis,
    limits: &'run Limits,
    policy: Policy,
    teller: Box<dyn Teller + 'run>,
    /// Told at the end.
    errors: Vec<String>,
    /// Something that was asked for.
    found: bool,
}

impl Walk<'_> {
    fn budget(&self) -> Budget {
        Budget::new(self.limits.clone())
    }

    /// All pickles of one member, or of the file.
    fn stretch(&mut self, mut stretch: Stretch) -> Result<(), Failure> {
        let (mut at, mut index) = (stretch.start(), 0_usize);
        let member = stretch.member().map(str::to_owned);
        loop {
            let mut pickle = Pickle {
                member: member.as_deref(),
                inflated: stretch.is_inflated(),
                index,
                at,
                broken: None,
            };
            if stretch.pickles() == Some(index) {
                return self.storages(&pickle, stretch.end());
            }
            let bytes = match stretch.pickle_at(at, &mut self.budget()) {
                Ok(bytes) => bytes,
                Err(why) => {
                    self.errors.push(why.to_string());
                    return Ok(());
                }
            };
            let asked = self.args.stream.is_none_or(|wanted| wanted == index);
            let end = if asked {
                self.pickle(&mut pickle, &bytes, stretch.end())?
            } else {
                extent(&bytes, at, self.limits)
            };
            let past = self.args.stream.is_some_and(|wanted| wanted <= index);
            let Some(end) = end else { return Ok(()) };
            let next = stretch.after(end);
            if next > end && asked {
                pickle.at = end;
                self.storages(&pickle, next)?;
            }
            if next >= stretch.end() || past {
                return Ok(());
            }
            at = next;
            index = index.saturating_add(1);
        }
    }

    /// Tells of one pickle; where the next begins, if that can be told.
    fn pickle(
        &mut self,
        pickle: &mut Pickle,
        bytes: &Bytes,
        end: FileOffset,
    ) -> Result<Option<FileOffset>, Failure> {
        self.found = true;
        let ran = pickle::run(bytes.clone(), pickle.at, &self.policy, &mut self.budget());
        pickle.broken = ran.end.err();
        let arrays: Vec<InlineArray> = ran.graph.inline_arrays().collect();
        drop(ran.graph);
        let is_inner = |at: FileOffset| {
            let before = arrays.partition_point(|array| array.at <= at);
            let array = before.checked_sub(1).and_then(|last| arrays.get(last));
            array.is_some_and(|array| array.pickled && at < array.at.plus(array.len))
        };
        let other = |at: FileOffset, what| {
            let skip = usize::try_from(at.0.saturating_sub(pickle.at.0)).unwrap_or(usize::MAX);
            let head = bytes.get(skip..).unwrap_or_default();
            Other { at, len: end.0.saturating_sub(at.0), head, what }
        };
        let begins_none = |why: &pickle::Error| pickle.index > 0 && why.offset() == pickle.at;
        if pickle.broken.as_ref().is_some_and(begins_none) {
            self.teller.other(pickle, &other(pickle.at, What::Rest))?;
            return Ok(None);
        }
        self.teller.begin(pickle)?;
        if let Some(why) = &pickle.broken {
            let member = pickle.member.map_or(String::new(), |member| format!("{member}: "));
            self.errors.push(format!("{member}{why}"));
        }
        let mut budget = self.budget();
        let lines = Annotated::new(bytes, pickle.at, &mut budget)
            .with_extensions(&self.policy)
            .with_arrays(arrays.iter().copied());
        for line in lines {
            let line = match line {
                Ok(line) => line,
                Err(why) => {
                    self.errors.push(format!("cannot follow the pickle further: {why}"));
                    return Ok(None);
                }
            };
            let op = match line.line.content {
                Content::Op(op) => Some(op),
                Content::Array(len) => {
                    let array = other(line.line.offset, What::Array);
                    self.teller.other(pickle, &Other { len, ..array })?;
                    continue;
                }
                Content::More => continue,
                _ => None,
            };
            let Some(op) = op else {
                self.teller.other(pickle, &other(line.line.offset, What::Undecodable))?;
                return Ok(None);
            };
            self.teller.line(pickle, &line)?;
            if op == Op::Stop && !is_inner(line.line.offset) {
                return Ok(Some(line.line.offset.plus(1)));
            }
        }
        // The bytes end without STOP.
        Ok(None)
    }

    fn storages(&mut self, pickle: &Pickle, end: FileOffset) -> Result<(), Failure> {
        let len = end.0.saturating_sub(pickle.at.0);
        if len > 0 && self.args.stream.is_none() {
            let other = Other { at: pickle.at, len, head: &[], what: What::Storages };
            self.teller.other(pickle, &other)?;
        }
        Ok(())
    }
}

/// Where the pickle at the beginning of `bytes` ends; none if it breaks before.
fn extent(bytes: &Bytes, at: FileOffset, limits: &Limits) -> Option<FileOffset> {
    let len = pickle::extent(bytes, at, &mut Budget::new(limits.clone()));
    len.ok().map(|len| at.plus(len))
}

/// Lines that `asm` turns into the same bytes.
fn assembly(
    args: &Dis,
    source: &dyn Source,
    limits: &Limits,
    out: &mut dyn Write,
) -> Result<Answer, Failure> {
    let path = label(&args.file);
    let name = |why: Error| Failure::Other(format!("{path}: {why}"));
    let all = stretches(source, limits).map_err(name)?.filter(|stretch| {
        // One that cannot be read may be the one asked for.
        stretch.as_ref().map_or(true, |stretch| args.takes(stretch))
    });
    let all = all.collect::<Result<Vec<_>, _>>().map_err(name)?;
    let names: Vec<&str> = all.iter().filter_map(Stretch::member).collect();
    if all.len() > 1 {
        let names = names.join(", ");
        let why = format!("{path}: several members hold pickles; choose one: --member {names}");
        return Err(Failure::Other(why));
    }
    let Some(mut stretch) = all.into_iter().next() else {
        return Err(Failure::Other(args.nothing(&path)));
    };
    let (mut at, mut index, mut found) = (stretch.start(), 0_usize, false);
    while at < stretch.end() && stretch.pickles() != Some(index) {
        let budget = &mut Budget::new(limits.clone());
        let bytes = stretch.pickle_at(at, budget).map_err(name)?;
        let asked = args.stream.is_none_or(|wanted| wanted == index);
        found |= asked;
        let end = extent(&bytes, at, limits);
        if asked {
            let all = match end {
                Some(end) => usize::try_from(end.0.saturating_sub(at.0)).unwrap_or(usize::MAX),
                None => bytes.len(),
            };
            let bytes = bytes.slice(..all.min(bytes.len()));
            let mut budget = Budget::new(limits.clone());
            let ran = pickle::run(bytes.clone(), at, &Policy::inspect(), &mut budget);
            Disassembly::new(&bytes, at)
                .with_arrays(ran.graph.inline_arrays())
                .try_for_each(|line| writeln!(out, "{line}"))?;
            at = at.plus(bytes.len() as u64);
        } else {
            at = end.unwrap_or(stretch.end());
        }
        // Raw bytes between pickles are no part of them.
        if end.is_some() {
            at = stretch.after(at);
        }
        if end.is_none() && asked {
            at = rest(source, at, &stretch, out)?;
        }
        index = index.saturating_add(1);
        if args.stream.is_some_and(|wanted| wanted < index) {
            break;
        }
    }
    out.flush()?;
    if found { Ok(Answer::Well) } else { Err(Failure::Other(args.nothing(&path))) }
}

/// What follows the bytes read of a pickle that breaks, in pieces.
fn rest(
    source: &dyn Source,
    mut at: FileOffset,
    stretch: &Stretch,
    out: &mut dyn Write,
) -> io::Result<FileOffset> {
    const PIECE: u64 = 64 << 10;
    while at < stretch.end() && !stretch.is_inflated() {
        let len = stretch.end().0.saturating_sub(at.0).min(PIECE);
        for piece in source.fetch(at.0, len)?.chunks(32) {
            writeln!(out, "{}", Disassembly::raw(piece))?;
        }
        at = at.plus(len);
    }
    Ok(at)
}

impl Dis {
    fn limits(&self) -> Limits {
        let limits = Limits::default();
        self.max_memory.map_or(limits.clone(), |bytes| limits.with_memory(bytes))
    }

    /// Whether this part of the file was asked for.
    fn takes(&self, stretch: &Stretch) -> bool {
        let Some(wanted) = &self.member else { return true };
        stretch.member().is_some_and(|name| {
            let inner = name.split_once('/').map(|(_, inner)| inner);
            name == wanted || inner == Some(wanted)
        })
    }

    /// Why nothing was found.
    fn nothing(&self, path: &str) -> String {
        match (&self.member, self.stream) {
            (None, None) => format!("{path}: no member of the archive is a pickle"),
            (Some(member), None) => format!("{path}: no member {member:?} that is a pickle"),
            (_, Some(index)) => format!("{path}: no pickle {index}; they are counted from 0"),
        }
    }
}
