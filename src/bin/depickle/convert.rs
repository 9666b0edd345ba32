//! `convert`: a state dict in another format.

mod report;
mod target;

use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use depickle::Budget;
use depickle::base::{Existing, Output};
use depickle::convert::{Convert, Error, Format, Kind, Plan, Shared, check_output};
use depickle::python::json;
use depickle::torch::{Checkpoint, DType};

use crate::args::{Key, Names, Reading};
use crate::input::label;
use crate::output::{self, Answer, Failure};
use crate::progress::Progress;
use crate::show::Tensors;
use report::Report;
use target::{Target, shard_size};

#[derive(clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "flags are booleans")]
pub(crate) struct Args {
    /// A file, an index of shards, or the folder of a distributed checkpoint; `-` is standard
    /// input.
    pub file: PathBuf,
    /// Where it goes; its extension says in which format. Without it, beside the input.
    #[arg(value_name = "OUTPUT")]
    pub output: Option<PathBuf>,
    /// The same as OUTPUT.
    #[arg(long = "output", short = 'o', value_name = "OUTPUT", conflicts_with = "output")]
    pub named: Option<PathBuf>,
    /// The format, where the output's extension does not say it.
    #[arg(long, value_enum, value_name = "FORMAT")]
    pub to: Option<To>,
    /// Floats as this type, rounded as PyTorch does; quantized tensors as the numbers they stand
    /// for. Integers stay.
    #[arg(long, value_enum, value_name = "DTYPE")]
    pub dtype: Option<Float>,
    /// Several files, none with more bytes of tensors than this, and an index; 5GB is 5·10⁹, 5GiB
    /// 5·2³⁰.
    #[arg(long, value_parser = shard_size, value_name = "SIZE")]
    pub max_shard_size: Option<u64>,
    /// What becomes of tensors that share memory: by default `once` for safetensors, `copy` for
    /// npz; in a .pth they go on sharing it.
    #[arg(long, value_enum, value_name = "HOW")]
    pub shared: Option<How>,
    /// Everything the checkpoint holds, not only one state dict, as it is: into a .pth, if
    /// `torch.load(weights_only=True)` takes it.
    #[arg(long)]
    pub keep_all: bool,
    /// Write sparse tensors with all their zeros.
    #[arg(long)]
    pub dense: bool,
    /// Leave out tensors that cannot be read, rather than giving up.
    #[arg(long)]
    pub skip_unreadable: bool,
    /// Do not compare the checksums of what is copied. They are wrong in files saved under
    /// torch.serialization.set_crc32_options(False).
    #[arg(long)]
    pub no_checksums: bool,
    /// Keep everything that is no tensor in this file, as tagged JSON (that of `show --json`).
    #[arg(long, value_name = "FILE")]
    pub sidecar: Option<PathBuf>,
    /// Say what would be written, and write nothing.
    #[arg(long)]
    pub dry_run: bool,
    /// Read the result back and compare every tensor, before it gets its name.
    #[arg(long)]
    pub verify: bool,
    /// Replace an output that exists.
    #[arg(long)]
    pub force: bool,
    /// One JSON document about what was done.
    #[arg(long)]
    pub json: bool,
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

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum To {
    /// Hugging Face's safetensors.
    Safetensors,
    /// A state dict that `torch.load(weights_only=True)` takes.
    #[value(alias = "pt", alias = "bin")]
    Pth,
    /// Arrays for numpy.
    Npz,
}

/// What floats become.
#[derive(Clone, Copy, clap::ValueEnum)]
pub(crate) enum Float {
    /// 64 bits.
    #[value(alias = "float64", alias = "double")]
    F64,
    /// 32 bits.
    #[value(alias = "float32", alias = "float")]
    F32,
    /// 16 bits.
    #[value(alias = "float16", alias = "half", alias = "fp16")]
    F16,
    /// 16 bits with the exponents of 32.
    #[value(alias = "bfloat16")]
    Bf16,
}

#[derive(Clone, Copy, clap::ValueEnum)]
pub(crate) enum How {
    /// One name is kept and the others are recorded, as the official converter does.
    Once,
    /// Each has data of its own.
    Copy,
    /// They are an error.
    Refuse,
}

impl Args {
    fn convert(&self, format: Format) -> Convert {
        let Names { strip_prefix, rename, include, exclude } = &self.names;
        let mut names = depickle::convert::Names::default();
        names = strip_prefix.iter().fold(names, depickle::convert::Names::strip_prefix);
        names = include.iter().fold(names, depickle::convert::Names::include);
        names = exclude.iter().fold(names, depickle::convert::Names::exclude);
        names = rename.iter().cloned().fold(names, depickle::convert::Names::rename);
        let mut convert = Convert::to(format).names(names);
        if let Some(key) = &self.key.key {
            convert = convert.key(key);
        }
        if let Some(float) = self.dtype {
            convert = convert.dtype(match float {
                Float::F64 => DType::Float64,
                Float::F32 => DType::Float32,
                Float::F16 => DType::Float16,
                Float::Bf16 => DType::BFloat16,
            });
        }
        if let Some(how) = self.shared {
            convert = convert.shared(match how {
                How::Once => Shared::Once,
                How::Copy => Shared::Copy,
                How::Refuse => Shared::Refuse,
            });
        }
        if let Some(bytes) = self.max_shard_size {
            convert = convert.max_shard_size(bytes);
        }
        if self.keep_all {
            convert = convert.whole();
        }
        if self.dense {
            convert = convert.dense();
        }
        if self.skip_unreadable {
            convert = convert.skip_unreadable();
        }
        if self.no_checksums {
            convert = convert.without_checksums();
        }
        convert
    }
}

pub(crate) fn run(args: &Args) -> Result<Answer, Failure> {
    let failed = match attempt(args) {
        Ok(()) => return Ok(Answer::Well),
        Err(Failed::Other(why)) => return Err(why),
        Err(Failed::Convert(why)) => why,
    };
    if args.json {
        let document = report::error(&label(&args.file), &failed);
        output::stdout(|out| writeln!(out, "{document:#}"))?;
    }
    for line in report::lines(&failed) {
        output::error(&line);
    }
    Ok(Answer::Failed)
}

/// Why nothing was written.
enum Failed {
    Convert(Error),
    Other(Failure),
}

impl<E: Into<Error>> From<E> for Failed {
    fn from(why: E) -> Self {
        Self::Convert(why.into())
    }
}

fn attempt(args: &Args) -> Result<(), Failed> {
    let checkpoint = args.reading.open(&args.file)?;
    let Target { format, path } = target::find(args, &checkpoint)?;
    let plan = args.convert(format).plan(&checkpoint)?;
    let report = Report { args, plan: &plan, path: &path };
    report.notes();
    if args.dry_run {
        return report.print(&plan.contents(&path), false).map_err(Failed::Other);
    }
    let existing = if args.force { Existing::Replace } else { Existing::Refuse };
    if let Some(sidecar) = args.sidecar.as_ref().filter(|it| plan.paths(&path).contains(it)) {
        let why = format!("{}: the sidecar cannot be the output itself", label(sidecar));
        return Err(Error::from(Kind::Usage(why.into())).into());
    }
    let sidecar = args.sidecar.as_deref().map(|path| sidecar(&checkpoint, &plan, path, args));
    let sidecar = sidecar.transpose()?;
    let progress = |what| Progress::new(what, plan.nbytes(), !args.no_progress);
    let written = {
        let bar = progress("writing");
        plan.write(&path, existing, &|bytes| bar.advance(bytes))?
    };
    if args.verify {
        let bar = progress("verifying");
        written.verify(&|bytes| bar.advance(bytes))?;
    }
    let files = written.commit()?;
    if let Some((path, sidecar)) = args.sidecar.as_deref().zip(sidecar) {
        sidecar.commit_soon().map_err(|why| Error::io(path, why))?;
    }
    report.print(&files, true).map_err(Failed::Other)
}

/// Writes what the checkpoint holds as JSON, beside where it belongs.
fn sidecar(
    checkpoint: &Checkpoint,
    plan: &Plan,
    path: &Path,
    args: &Args,
) -> Result<Output, Error> {
    let existing = if args.force { Existing::Replace } else { Existing::Refuse };
    check_output(checkpoint, path)?;
    let mut output = Output::create(path, existing).map_err(|why| Error::io(path, why))?;
    let mut budget = Budget::new(checkpoint.limits().clone());
    let known = Tensors(plan.checkpoint());
    let mut buffered = BufWriter::new(&mut output);
    match json::write(checkpoint.root(), &known, &mut budget, &mut buffered) {
        Ok(()) => {}
        Err(json::Error::Io(why)) => return Err(Error::io(path, why)),
        Err(json::Error::Over(why)) => return Err(why.into()),
    }
    let ended = buffered.write_all(b"\n").and_then(|()| buffered.flush());
    ended.map_err(|why| Error::io(path, why))?;
    drop(buffered);
    Ok(output)
}
