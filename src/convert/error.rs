//! What can go wrong between a checkpoint and its copy.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use crate::base::{Category, Exceeded};
use crate::torch;

/// Why nothing was written.
pub struct Error(Box<Inner>);

struct Inner {
    kind: Kind,
    path: Option<PathBuf>,
}

/// What is wrong.
#[derive(Debug)]
#[non_exhaustive]
pub enum Kind {
    /// The checkpoint cannot be read.
    Torch(torch::Error),
    /// Tensors that cannot be read, each with the reason.
    Unreadable(Vec<(Box<str>, torch::Error)>),
    /// Tensors that the format cannot hold, or that need a decision first.
    Refused(Vec<Refusal>),
    /// There are no tensors in what was chosen, or none was left.
    NoTensors(&'static str),
    /// Several objects could be meant; their keys.
    SeveralObjects(Vec<Box<str>>),
    /// Two tensors would have the same name.
    SameName {
        /// The name.
        name: Box<str>,
        /// What they are called in the checkpoint.
        from: [Box<str>; 2],
    },
    /// Tensors share memory of which none of them covers all; groups of names.
    NoCover(Vec<Vec<Box<str>>>),
    /// Tensors share memory, which was to be refused; groups of names.
    Shares(Vec<Vec<Box<str>>>),
    /// The checkpoint holds more than `torch.load(weights_only=True)` takes; the globals.
    NotOnlyWeights(Vec<Box<str>>),
    /// What a pattern, name or size must be; the text says which.
    Usage(Box<str>),
    /// The output is one of the files that are read.
    OutputIsInput,
    /// What was written is not what was read.
    Differs {
        /// The tensor.
        name: Box<str>,
        /// How.
        why: Box<str>,
    },
    /// The system could not write.
    Io(io::Error),
}

/// A tensor that cannot be written as asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// What the checkpoint calls it.
    pub name: Box<str>,
    /// Why, and what can be done.
    pub why: Box<str>,
}

impl Error {
    pub(crate) fn new(kind: Kind) -> Self {
        Self(Box::new(Inner { kind, path: None }))
    }

    pub(crate) fn usage(why: impl Into<Box<str>>) -> Self {
        Self::new(Kind::Usage(why.into()))
    }

    /// Of a file that is being written, as the system says it.
    #[must_use]
    pub fn io(path: &Path, why: io::Error) -> Self {
        Self::from(why).placed(path)
    }

    /// About this file, if no other was named.
    pub(crate) fn placed(mut self, path: &Path) -> Self {
        self.0.path.get_or_insert_with(|| path.to_owned());
        self
    }

    /// The file that was to be written, if it is about one.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        self.0.path.as_deref()
    }

    /// What is wrong.
    #[must_use]
    pub fn kind(&self) -> &Kind {
        &self.0.kind
    }

    /// What sort of failure this is.
    #[must_use]
    pub fn category(&self) -> Category {
        match self.kind() {
            Kind::Torch(why) => why.category(),
            Kind::Unreadable(all) => all.first().map_or(Category::Malformed, |it| it.1.category()),
            Kind::NoTensors(_) | Kind::SeveralObjects(_) => Category::Missing,
            Kind::Refused(_)
            | Kind::SameName { .. }
            | Kind::NoCover(_)
            | Kind::NotOnlyWeights(_)
            | Kind::Shares(_)
            | Kind::Usage(_) => Category::Unsupported,
            Kind::Differs { .. } => Category::Malformed,
            Kind::OutputIsInput | Kind::Io(_) => Category::Io,
        }
    }
}

impl From<Kind> for Error {
    fn from(kind: Kind) -> Self {
        Self::new(kind)
    }
}

impl From<torch::Error> for Error {
    fn from(why: torch::Error) -> Self {
        Self::new(Kind::Torch(why))
    }
}

impl From<Exceeded> for Error {
    fn from(why: Exceeded) -> Self {
        Self::new(Kind::Torch(why.into()))
    }
}

impl From<io::Error> for Error {
    fn from(why: io::Error) -> Self {
        Self::new(Kind::Io(why))
    }
}

/// Names, as many as one line holds.
fn few(names: &[Box<str>]) -> String {
    const SHOWN: usize = 8;
    let shown: Vec<String> = names.iter().take(SHOWN).map(|name| format!("{name:?}")).collect();
    let more = match names.len().saturating_sub(SHOWN) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!("{}{more}", shown.join(", "))
}

fn groups(all: &[Vec<Box<str>>]) -> String {
    all.iter().take(4).map(|names| few(names)).collect::<Vec<_>>().join("; ")
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Torch(why) => write!(f, "{why}"),
            Self::Unreadable(all) => match all.first() {
                Some((_, why)) if all.len() == 1 => write!(f, "{why}"),
                Some((_, why)) => write!(f, "{} tensors cannot be read: {why}", all.len()),
                None => f.write_str("tensors cannot be read"),
            },
            Self::Refused(all) => match all.first() {
                Some(Refusal { name, why }) if all.len() == 1 => {
                    write!(f, "tensor {name:?}: {why}")
                }
                Some(Refusal { name, why }) => {
                    write!(f, "{} tensors cannot be written: {name:?}: {why}", all.len())
                }
                None => f.write_str("tensors cannot be written"),
            },
            Self::NoTensors(why) => f.write_str(why),
            Self::SeveralObjects(keys) => write!(
                f,
                "several objects hold tensors by name: {}; choose one with --key, or all of them \
                 with --key ''",
                few(keys)
            ),
            Self::SameName { name, from: [one, other] } => {
                write!(f, "{one:?} and {other:?} would both be called {name:?}")
            }
            Self::NoCover(all) => write!(
                f,
                "these share memory, and none of them covers all of it: {}; --shared copy writes \
                 each with data of its own",
                groups(all)
            ),
            Self::NotOnlyWeights(names) => write!(
                f,
                "not all of it can be loaded with weights_only=True: it needs {}; without \
                 --keep-all its tensors can",
                few(names)
            ),
            Self::Shares(all) => write!(f, "these share memory: {}", groups(all)),
            Self::Usage(why) => f.write_str(why),
            Self::OutputIsInput => {
                f.write_str("this is the file that is read: name another for the output")
            }
            Self::Differs { name, why } => {
                write!(f, "tensor {name:?} is not what was read: {why}; nothing is kept of it")
            }
            Self::Io(why) => write!(f, "{why}"),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(path) = self.path() {
            write!(f, "{}: ", path.display())?;
        }
        self.kind().fmt(f)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self.kind() {
            Kind::Torch(why) => Some(why),
            Kind::Io(why) => Some(why),
            _ => None,
        }
    }
}
