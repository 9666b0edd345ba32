//! The command line.

use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};
use depickle::convert::Rename;

/// Look into PyTorch files and pickles without running what is in them.
///
/// Exit codes: 0 all well; 1 something differs (verify); 2 could not do it (unreadable, malformed, over a limit, refused by
/// the policy), or wrong usage.
#[derive(Parser)]
#[command(version, max_term_width = 100)]
pub(crate) struct Args {
    /// When to use colours; NO_COLOR is honoured.
    #[arg(long, global = true, value_enum, default_value_t, value_name = "WHEN")]
    pub color: Color,
    #[command(subcommand)]
    pub verb: Verb,
}

#[derive(Subcommand)]
pub(crate) enum Verb {
    /// One screen about a file: what it holds, what made it, what it would call.
    Info(Info),
    /// Every tensor: name, dtype, shape, size.
    Ls(Ls),
    /// The module tree, as Python's print(model) shows it.
    Tree(Tree),
    /// The saved object as text, or as JSON.
    Show(Show),
    /// Every pickle of a file, operation by operation, with what each names and calls.
    ///
    /// Nothing is refused, and nothing runs. Exit codes: 0 every pickle reaches its STOP; 2 one
    /// breaks before, or cannot be read: what there is of it is shown first.
    Dis(Dis),
    /// The text that `dis --asm` writes, as a pickle.
    Asm(Asm),
    Diff(crate::diff::Diff),
    /// Checksums of every member, bounds of every tensor: whether a file is sound.
    Verify(Verify),
    /// What a file is, or what is wrong with it and what to do.
    Doctor(crate::doctor::Args),
    /// Every global that a file names: where it stands, how often, and what the tables say of it.
    Globals(crate::globals::Args),
    /// A state dict as safetensors, `.npz`, or a `.pth` that weights_only=True loads: bit for bit.
    ///
    /// Of a training checkpoint the one state dict in it is taken; what was chosen is said on
    /// standard error. Exit codes: 0 written; 2 not written, and nothing is left behind.
    Convert(crate::convert::Args),
    /// A verdict on files and folders: what loading them would have done.
    ///
    /// Clean: read to the end, everything whitelisted where it stands, the container sound.
    /// Unknown: something is off the whitelist, nothing known to be dangerous. Dangerous: it would
    /// do harm, or readers see different things in it. Error: not read to the end. What was not
    /// read is never clean. Files that hold no pickle are skipped.
    ///
    /// Exit codes: 0 all clean or skipped; 1 at least one dangerous, or unknown; 2 at least one
    /// not read to its end, and none dangerous. `--fail-on dangerous` lets unknown pass.
    Scan(crate::scan::Scan),
    /// Completions for a shell, to be sourced by it.
    Completions {
        /// Which shell.
        shell: clap_complete::Shell,
    },
    /// The manual page, in roff.
    Man,
}

#[derive(clap::Args)]
pub(crate) struct Info {
    /// Files; `-` is standard input.
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// One JSON document; a list of them for several files.
    #[arg(long)]
    pub json: bool,
    /// One JSON document a line, a line for each file.
    #[arg(long, conflicts_with = "json")]
    pub jsonl: bool,
    #[command(flatten)]
    pub reading: Reading,
}

#[derive(clap::Args)]
pub(crate) struct Verify {
    /// Files; `-` is standard input.
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// One JSON document; a list of them for several files.
    #[arg(long)]
    pub json: bool,
    /// One JSON document a line, a line for each file.
    #[arg(long, conflicts_with = "json")]
    pub jsonl: bool,
    /// No progress bar.
    #[arg(long)]
    pub no_progress: bool,
    #[command(flatten)]
    pub reading: Reading,
}

#[derive(clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "flags are booleans")]
pub(crate) struct Ls {
    /// Files; `-` is standard input.
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Also stride, offset, storage, device, role and requires_grad.
    #[arg(long, short)]
    pub long: bool,
    /// Also the SHA-256 of each tensor's contiguous little-endian bytes.
    #[arg(long)]
    pub sha256: bool,
    /// Of modules, also non-persistent buffers and tensors held elsewhere.
    #[arg(long, short)]
    pub all: bool,
    /// Another order than the file's.
    #[arg(long, value_enum, value_name = "BY")]
    pub sort: Option<Sort>,
    /// A last line that sums up.
    #[arg(long)]
    pub total: bool,
    /// One JSON document; a list of them for several files.
    #[arg(long)]
    pub json: bool,
    /// One JSON document a line, a line for each file.
    #[arg(long, conflicts_with = "json")]
    pub jsonl: bool,
    /// No progress bar.
    #[arg(long)]
    pub no_progress: bool,
    #[command(flatten)]
    pub key: Key,
    #[command(flatten)]
    pub names: Names,
    #[command(flatten)]
    pub reading: Reading,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Sort {
    /// By name.
    Name,
    /// The largest first.
    Size,
}

#[derive(clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "flags are booleans")]
pub(crate) struct Tree {
    /// A file; `-` is standard input.
    pub file: PathBuf,
    /// Levels of modules to show below the root.
    #[arg(long, value_name = "N")]
    pub depth: Option<usize>,
    /// Also each module's parameters and bytes, all below it included; a tensor in several
    /// places counts once.
    #[arg(long)]
    pub params: bool,
    /// Also the attributes of each module that PyTorch did not put there.
    #[arg(long)]
    pub attrs: bool,
    /// One JSON document, attributes always included.
    #[arg(long)]
    pub json: bool,
    /// Write a page to look at in a browser, of one file and without network; `-` is standard
    /// output.
    #[arg(long, value_name = "OUT", conflicts_with_all = ["json", "depth", "params", "attrs"])]
    pub html: Option<PathBuf>,
    /// Replace the page if it is there already.
    #[arg(long, requires = "html")]
    pub force: bool,
    #[command(flatten)]
    pub key: Key,
    #[command(flatten)]
    pub reading: Reading,
}

#[derive(clap::Args)]
pub(crate) struct Show {
    /// A file; `-` is standard input.
    pub file: PathBuf,
    /// Levels of objects to show.
    #[arg(long, value_name = "N")]
    pub depth: Option<usize>,
    /// Items of one container to show.
    #[arg(long, value_name = "N")]
    pub max_items: Option<usize>,
    /// The whole object as tagged JSON.
    #[arg(long, conflicts_with_all = ["depth", "max_items"])]
    pub json: bool,
    /// Which pickle of a plain file that holds several, counted from 0.
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    pub stream: usize,
    #[command(flatten)]
    pub key: Key,
    #[command(flatten)]
    pub reading: Reading,
}

#[derive(clap::Args)]
pub(crate) struct Dis {
    /// A file; `-` is standard input.
    pub file: PathBuf,
    /// One JSON document with a record for each operation.
    #[arg(long)]
    pub json: bool,
    /// One JSON record a line.
    #[arg(long, conflicts_with = "json")]
    pub jsonl: bool,
    /// Text that `asm` turns into the same bytes; of one member, all of it or one pickle.
    #[arg(long, conflicts_with_all = ["json", "jsonl"])]
    pub asm: bool,
    /// Only this member of the archive, with or without its root folder.
    #[arg(long, value_name = "NAME")]
    pub member: Option<String>,
    /// Only the pickle of this number in the file or member, counted from 0.
    #[arg(long, value_name = "N")]
    pub stream: Option<usize>,
    /// What an extension code stands for, as copyreg.add_extension says in Python.
    #[arg(long, value_parser = extension, value_name = "CODE=MODULE.NAME", help_heading = "Reading")]
    pub extension: Vec<Extension>,
    /// Memory for one pickle, such as 512M or 4G.
    #[arg(long, value_parser = size, value_name = "SIZE", help_heading = "Reading")]
    pub max_memory: Option<u64>,
}

#[derive(clap::Args)]
pub(crate) struct Asm {
    /// A file of text; `-` is standard input.
    pub file: PathBuf,
    /// Where the pickle goes; standard output without it.
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Replace an output that exists.
    #[arg(long)]
    pub force: bool,
}

/// Which object of the file.
#[derive(clap::Args)]
pub(crate) struct Key {
    /// Go into a nested object: keys and indices joined by dots.
    #[arg(long, value_name = "PATH")]
    pub key: Option<String>,
}

/// Which tensors, and how their names change.
#[derive(clap::Args)]
pub(crate) struct Names {
    /// Cut this off the front of names, as often as it stands there.
    #[arg(long, value_name = "PREFIX")]
    pub strip_prefix: Vec<String>,
    /// After that, put REPL where REGEX matches in names; `$1` stands for the first group. Several
    /// are applied in their order.
    #[arg(long, value_parser = rename, value_name = "REGEX=REPL")]
    pub rename: Vec<Rename>,
    /// Only names that match: `*` stands for anything, `?` for one character.
    #[arg(long, value_name = "GLOB")]
    pub include: Vec<String>,
    /// No names that match.
    #[arg(long, value_name = "GLOB")]
    pub exclude: Vec<String>,
}

/// How files are read.
#[derive(clap::Args)]
pub(crate) struct Reading {
    /// Which globals a file may mention. Nothing of it runs under any policy.
    #[arg(long, value_enum, default_value_t, value_name = "POLICY", help_heading = "Reading")]
    pub policy: Preset,
    /// Admit globals whose `module.name` matches.
    #[arg(long, value_name = "GLOB", help_heading = "Reading")]
    pub allow: Vec<String>,
    /// Refuse globals whose `module.name` matches.
    #[arg(long, value_name = "GLOB", help_heading = "Reading")]
    pub forbid: Vec<String>,
    /// What an extension code stands for, as copyreg.add_extension says in Python; the policy
    /// judges the global. MODULE:NAME where the name has dots of its own.
    #[arg(long, value_parser = extension, value_name = "CODE=MODULE.NAME", help_heading = "Reading")]
    pub extension: Vec<Extension>,
    /// Memory for reading structure, such as 512M or 4G; 2G unless said otherwise. More of it
    /// allows as many times more steps.
    #[arg(long, value_parser = size, value_name = "SIZE", help_heading = "Reading")]
    pub max_memory: Option<u64>,
}

/// The policies, from strict to lax.
#[derive(Clone, Copy, Default, ValueEnum)]
pub(crate) enum Preset {
    /// What torch.load(weights_only=True) accepts, nothing else.
    WeightsOnly,
    /// Calls only from the whitelist; instances of any class, as inert data.
    Strict,
    /// Any call, as inert data, but nothing that could reach code, files or the network.
    #[default]
    Models,
    /// Everything, as inert data.
    Inspect,
}

#[derive(Clone, Copy, Default, ValueEnum)]
pub(crate) enum Color {
    /// On a terminal.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

impl Color {
    pub(crate) fn apply(self) {
        let choice = match self {
            Self::Auto => return,
            Self::Always => anstream::ColorChoice::Always,
            Self::Never => anstream::ColorChoice::Never,
        };
        choice.write_global();
    }
}

fn rename(rule: &str) -> Result<Rename, String> {
    Rename::new(rule).map_err(|why| why.to_string())
}

/// A meaning for an extension code.
#[derive(Clone)]
pub(crate) struct Extension {
    pub code: u32,
    pub module: String,
    pub name: String,
}

/// `CODE=module.name`, or `CODE=module:qualified.name`.
pub(crate) fn extension(text: &str) -> Result<Extension, String> {
    let (code, global) = text.split_once('=').ok_or("CODE=MODULE.NAME is wanted")?;
    let code = code.parse().ok().filter(|code| (1..=MOST_CODE).contains(code));
    let code = code.ok_or_else(|| format!("codes are numbers from 1 to {MOST_CODE}"))?;
    let split = global.split_once(':').or_else(|| global.rsplit_once('.'));
    match split {
        Some((module, name)) if !module.is_empty() && !name.is_empty() => {
            Ok(Extension { code, module: module.to_owned(), name: name.to_owned() })
        }
        _ => Err(format!("{global:?} is no MODULE.NAME")),
    }
}

/// The largest code that EXT4 can hold.
const MOST_CODE: u32 = i32::MAX as u32;

/// Bytes, with K, M, G or T for powers of 1,024.
pub(crate) fn size(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|char: char| !char.is_ascii_digit());
    let unit = text.get(digits.len()..).unwrap_or_default().to_ascii_uppercase();
    let shift = match unit.as_str() {
        "" | "B" => 0,
        "K" | "KB" | "KIB" => 10,
        "M" | "MB" | "MIB" => 20,
        "G" | "GB" | "GIB" => 30,
        "T" | "TB" | "TIB" => 40,
        _ => return Err(format!("{unit:?} is no unit; use K, M, G or T")),
    };
    let count: u64 =
        digits.parse().map_err(|_| "a whole number and a unit, such as 512M".to_owned())?;
    count.checked_mul(1 << shift).ok_or_else(|| "too large".to_owned())
}
