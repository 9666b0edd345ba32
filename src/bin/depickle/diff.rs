//! `diff`: what is different between two files, and whether weights fit a model.

mod advice;
mod choose;
mod fit;
mod json;
mod pairs;
mod plain;
mod side;
mod text;
mod values;

use std::path::{Path, PathBuf};

use clap::ValueEnum;
use depickle::torch::{Comparison, ObjectKind, Tolerance};

use crate::args::{Names, Reading};
use crate::output::{self, Answer, Failure, note};
use side::{Held, Opened, Side};

/// Compare two files: a state dict, a checkpoint or a whole model with another.
///
/// LEFT is the reference: a key it has and RIGHT lacks is missing, one that only RIGHT has is
/// unexpected. With a whole model on the left and weights on the right, the question is whether
/// they fit: what load_state_dict(strict=True) of that model would say. In a checkpoint beside a
/// model or state dict, the state dict that matches best is looked for, and what was chosen is
/// said.
///
/// Exit codes: 0 the same, or fits; 1 different, or does not fit; 2 could not compare.
#[derive(clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "flags are booleans")]
pub(crate) struct Diff {
    /// The file that is the reference; `-` is standard input.
    pub left: PathBuf,
    /// The file that is held against it; `-` is standard input.
    pub right: PathBuf,
    /// Compare elements too, not only names, shapes and dtypes.
    #[arg(long)]
    pub values: bool,
    /// Elements that differ by no more than this part of the left one are equal.
    #[arg(long, value_name = "RTOL", value_parser = tolerance)]
    pub rtol: Option<f64>,
    /// Elements that differ by no more than this are equal.
    #[arg(long, value_name = "ATOL", value_parser = tolerance)]
    pub atol: Option<f64>,
    /// Elements are equal only if all their bits are: signs of zero, kinds of NaN.
    #[arg(long, conflicts_with_all = ["rtol", "atol"])]
    pub bitwise: bool,
    /// Also what is no tensor: epochs, losses, configurations, versions of modules.
    #[arg(long, short)]
    pub all: bool,
    /// Also differences in role, requires_grad and device.
    #[arg(long, short)]
    pub long: bool,
    /// What is asked.
    #[arg(long, value_enum, default_value_t, value_name = "MODE")]
    pub mode: Mode,
    /// Print what load_state_dict would raise, word for word, and nothing else.
    #[arg(long, conflicts_with_all = ["json", "all", "long", "quiet"])]
    pub message: bool,
    /// Print nothing: the exit code says it.
    #[arg(long, short, conflicts_with = "json")]
    pub quiet: bool,
    /// One JSON document.
    #[arg(long)]
    pub json: bool,
    /// No progress bar.
    #[arg(long)]
    pub no_progress: bool,
    /// Go into a nested object of both: keys and indices joined by dots.
    #[arg(long, value_name = "PATH")]
    pub key: Option<String>,
    /// Go into a nested object of the left file.
    #[arg(long, value_name = "PATH", conflicts_with = "key")]
    pub left_key: Option<String>,
    /// Go into a nested object of the right file.
    #[arg(long, value_name = "PATH", conflicts_with = "key")]
    pub right_key: Option<String>,
    #[command(flatten)]
    pub names: Names,
    #[command(flatten)]
    pub reading: Reading,
}

#[derive(Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Mode {
    /// `fit` if the left is a whole model and the right is none, else `diff`.
    #[default]
    Auto,
    /// What is different. Names of both files are changed as asked.
    Diff,
    /// Whether the right loads into the left. Only names of the right are changed.
    Fit,
}

fn tolerance(text: &str) -> Result<f64, String> {
    let value: f64 = text.parse().map_err(|_| "a number is wanted, such as 1e-5".to_owned())?;
    if value.is_finite() && value >= 0.0 {
        Ok(value)
    } else {
        Err("a finite number of at least 0 is wanted".to_owned())
    }
}

impl Diff {
    fn compares_values(&self) -> bool {
        self.values || self.rtol.is_some() || self.atol.is_some() || self.bitwise
    }

    fn tolerance(&self) -> Tolerance {
        Tolerance {
            absolute: self.atol.unwrap_or(0.0),
            relative: self.rtol.unwrap_or(0.0),
            bitwise: self.bitwise,
        }
    }
}

pub(crate) fn run(args: &Diff) -> Result<Answer, Failure> {
    if args.left == Path::new("-") && args.right == Path::new("-") {
        return Err(Failure::Other("standard input can only be one of the files".to_owned()));
    }
    let left = Opened::new(args, &args.left)?;
    let right = Opened::new(args, &args.right)?;
    let (left_key, right_key) = (args.left_key.as_deref(), args.right_key.as_deref());
    let mut left = Side::new(&left, left_key.or(args.key.as_deref()))?;
    let mut right = Side::new(&right, right_key.or(args.key.as_deref()))?;
    choose::choose(args, &mut left, &mut right)?;
    for side in [&left, &right] {
        if let (Some(key), true) = (&side.key, side.automatic) {
            note(&format!("{}: compared is what is at key {key:?}", side.label));
        }
    }
    let fits = match args.mode {
        Mode::Auto => left.kind == ObjectKind::Module && right.kind != ObjectKind::Module,
        Mode::Diff => false,
        Mode::Fit => true,
    };
    let mut found = if fits || args.message {
        fit::compare(args, &left, &right)?
    } else {
        pairs::compare(args, &left, &right)?
    };
    found.notes.iter().for_each(|what| note(&format!("{}: {what}", left.label)));
    if args.message {
        let text = found.message.clone().unwrap_or_default();
        if !text.is_empty() {
            output::stdout(|out| writeln!(out, "{}", output::lines(&text)))?;
        }
        return Ok(if text.is_empty() { Answer::Well } else { Answer::No });
    }
    plain::compare(args, &left, &right, &mut found)?;
    if args.compares_values() {
        values::compare(args, &left, &right, &mut found);
    }
    found.sort();
    found.advice = advice::advice(&left, &found);
    found.errors.iter().for_each(|why| output::error(why));
    if args.json {
        json::print(args, &left, &right, &found)?;
    } else if !args.quiet {
        text::print(args, &left, &right, &found)?;
    }
    Ok(found.answer())
}

/// Everything that was found.
#[derive(Default)]
pub(crate) struct Found {
    /// Whether the right was to be loaded into the left.
    fits: bool,
    rows: Vec<Row>,
    /// Values that are no tensors.
    objects: Vec<plain::Difference>,
    /// Whether these were compared.
    plain: bool,
    /// Keys of each side, and those that both have.
    keys: [usize; 3],
    /// What `load_state_dict` raises.
    message: Option<String>,
    /// What only code could tell.
    notes: Vec<String>,
    /// What could not be compared.
    errors: Vec<String>,
    advice: Vec<advice::Advice>,
}

/// A key, what each side has there, and what is to say of it.
#[derive(Default)]
struct Row {
    name: String,
    left: Option<Held>,
    right: Option<Held>,
    facts: Vec<Fact>,
}

/// What is to say of a key.
#[derive(Clone, Debug, PartialEq)]
enum Fact {
    Missing,
    Unexpected,
    /// The model keeps its value.
    Kept,
    Shape,
    Layout,
    DType,
    Quantizer,
    /// Something that PyTorch says, of what is no tensor, say.
    Other(String),
    Role(String, String),
    Grad(bool, bool),
    Device(String, String),
    /// Of the tensor, or of the part of that name.
    Values(String, Comparison),
}

impl Fact {
    /// Whether it makes the files different.
    fn counts(&self, fits: bool) -> bool {
        match self {
            Self::Kept => false,
            // Copying casts.
            Self::DType | Self::Quantizer | Self::Role(..) | Self::Grad(..) | Self::Device(..) => {
                !fits
            }
            Self::Values(_, found) => found.differing > 0,
            _ => true,
        }
    }
}

impl Found {
    fn sort(&mut self) {
        self.rows.retain(|row| !row.facts.is_empty());
        self.rows.sort_by(|a, b| natural(&a.name).cmp(&natural(&b.name)));
        self.objects.sort_by(|a, b| natural(&a.path).cmp(&natural(&b.path)));
    }

    fn same(&self) -> bool {
        let differs = |row: &Row| row.facts.iter().any(|fact| fact.counts(self.fits));
        self.objects.is_empty() && !self.rows.iter().any(differs)
    }

    fn answer(&self) -> Answer {
        if !self.errors.is_empty() {
            Answer::Failed
        } else if self.same() {
            Answer::Well
        } else {
            Answer::No
        }
    }

    fn count(&self, is: impl Fn(&Fact) -> bool) -> usize {
        self.rows.iter().filter(|row| row.facts.iter().any(&is)).count()
    }
}

/// A name such that `layer.2` comes before `layer.10`.
fn natural(name: &str) -> Vec<(&str, u64, &str)> {
    name.split('.')
        .map(|part| match part.parse() {
            Ok(number) => ("", number, part),
            Err(_) => (part, 0, ""),
        })
        .collect()
}
