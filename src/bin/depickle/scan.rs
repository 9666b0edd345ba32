//! `scan`: a verdict on files and folders.

mod files;
mod json;
mod sarif;
mod text;

use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use clap::ValueEnum;
use depickle::Limits;
use depickle::scan::{Report, Scanner, Verdict};

use crate::args::Extension;
use crate::input::{label, spool};
use crate::output::{Answer, Failure, error};
use crate::progress::Counter;
use files::Found;

/// Arguments of the verb.
#[derive(clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "flags are booleans")]
pub(crate) struct Scan {
    /// Files and folders; `-` is standard input.
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// One JSON document; a list of them for several files or a folder.
    #[arg(long)]
    json: bool,
    /// One JSON document a line, a line for each file, as soon as it is known.
    #[arg(long, conflicts_with = "json")]
    jsonl: bool,
    /// One SARIF 2.1.0 document, for code scanning services.
    #[arg(long, conflicts_with_all = ["json", "jsonl"])]
    sarif: bool,
    /// Also name files that are clean, and those that hold no pickle.
    #[arg(long, short)]
    verbose: bool,
    /// The mildest verdict that makes the exit code 1. A file that could not be read makes it 2.
    #[arg(long, value_enum, default_value_t, value_name = "VERDICT")]
    fail_on: FailOn,
    /// Of folders only files whose path matches: `*` stands for anything, `?` for one character.
    #[arg(long, value_name = "GLOB")]
    include: Vec<String>,
    /// Of folders no files or folders whose path matches.
    #[arg(long, value_name = "GLOB")]
    exclude: Vec<String>,
    /// Whitelist globals whose `module.name` matches, in any position.
    #[arg(long, value_name = "GLOB", help_heading = "Judging")]
    allow: Vec<String>,
    /// Forbid globals whose `module.name` matches, in any position.
    #[arg(long, value_name = "GLOB", help_heading = "Judging")]
    forbid: Vec<String>,
    /// What an extension code stands for, as copyreg.add_extension says in Python.
    #[arg(long, value_parser = crate::args::extension, value_name = "CODE=MODULE.NAME", help_heading = "Judging")]
    extension: Vec<Extension>,
    /// Compare the checksums of all members: reads every byte. Without it, only those of members
    /// that hold pickles are compared.
    #[arg(long, help_heading = "Judging")]
    checksums: bool,
    /// Memory for one file, such as 512M or 4G.
    #[arg(long, value_parser = crate::args::size, value_name = "SIZE", help_heading = "Reading")]
    max_memory: Option<u64>,
    /// Files scanned at once; as many as there are processors without it.
    #[arg(long, short = 'j', value_name = "N", help_heading = "Reading")]
    jobs: Option<usize>,
    /// No progress bar.
    #[arg(long)]
    no_progress: bool,
}

/// Which verdicts make the exit code 1.
#[derive(Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum FailOn {
    /// Unknown and dangerous: whatever is not clean.
    #[default]
    Unknown,
    /// Dangerous only.
    Dangerous,
    /// None: the exit code is 0, whatever was found.
    Never,
}

pub(crate) fn run(args: &Scan) -> Result<Answer, Failure> {
    let scanner = args.scanner();
    let found = files::find(&args.paths, &args.include, &args.exclude);
    let mut out = BufWriter::new(anstream::stdout().lock());
    let mut totals = Totals::default();
    let single = matches!(&found[..], [Found { named: true, .. }]);
    let mut sink = Sink::new(args, single);
    let bar = Counter::new("scanning", found.len(), !args.no_progress);
    // Reports come in any order, and are shown in the order of the files.
    let mut failure = None;
    each(&scanner, &found, args.jobs(found.len()), &mut |file, report| {
        bar.advance();
        totals.add(report.verdict);
        match sink.take(&mut out, file, report) {
            Ok(()) => true,
            Err(why) => {
                failure = Some(why);
                false
            }
        }
    });
    drop(bar);
    if let Some(why) = failure {
        return Err(why.into());
    }
    sink.finish(&mut out)?;
    out.flush()?;
    drop(out);
    if sink.is_text() && (found.len() != 1 || !single) {
        totals.tell();
    }
    if found.is_empty() {
        error("there was nothing to scan: no file matches");
    }
    Ok(totals.answer(args.fail_on))
}

impl Scan {
    fn scanner(&self) -> Scanner {
        let mut scanner = Scanner::new().checksums(self.checksums);
        if let Some(bytes) = self.max_memory {
            scanner = scanner.limits(Limits::default().with_memory(bytes));
        }
        let scanner = self.allow.iter().fold(scanner, |scanner, glob| scanner.allow(glob));
        let scanner = self.forbid.iter().fold(scanner, |scanner, glob| scanner.forbid(glob));
        self.extension.iter().fold(scanner, |scanner, Extension { code, module, name }| {
            scanner.extension(*code, module, name)
        })
    }

    /// How many files to read at once, of so many: nobody is asked for the cores to read one.
    fn jobs(&self, files: usize) -> usize {
        let all = || thread::available_parallelism().map_or(1, usize::from);
        let jobs = if files < 2 { 1 } else { self.jobs.unwrap_or_else(all) };
        jobs.clamp(1, 256.min(files.max(1)))
    }
}

fn one_by_one(scanner: &Scanner, files: &[Found], take: &mut dyn FnMut(&Found, &Report) -> bool) {
    let _wanted = files.iter().all(|file| take(file, &scan(scanner, file)));
}

/// Scans files on several threads; reports are handed on in the order of the files, until
/// `take` wants no more.
fn each(
    scanner: &Scanner,
    files: &[Found],
    jobs: usize,
    take: &mut dyn FnMut(&Found, &Report) -> bool,
) {
    if jobs == 1 {
        return one_by_one(scanner, files, take);
    }
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        // Reports wait for the files before them; few enough that memory stays bounded.
        let (sender, reports) = mpsc::sync_channel(jobs.saturating_mul(4));
        let spawn = |_| {
            let (sender, next) = (sender.clone(), &next);
            let work = move || {
                let mut batch = Batch::default();
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let Some(file) = files.get(index) else { break };
                    batch.reports.push((index, scan(scanner, file)));
                    if batch.is_due() && sender.send(batch.take()).is_err() {
                        return;
                    }
                }
                // Nobody may want them any more.
                let _unwanted = sender.send(batch.take());
            };
            thread::Builder::new().spawn_scoped(scope, work).ok()
        };
        // As many as the system gives.
        let spawned = (0..jobs).map_while(spawn).count();
        drop(sender);
        if spawned == 0 {
            return one_by_one(scanner, files, take);
        }
        let (mut waiting, mut shown) = (std::collections::BTreeMap::new(), 0_usize);
        for batch in reports {
            waiting.extend(batch);
            while let Some(report) = waiting.remove(&shown) {
                let wanted = files.get(shown).is_none_or(|file| take(file, &report));
                shown = shown.saturating_add(1);
                if !wanted {
                    next.store(files.len(), Ordering::Relaxed);
                    return;
                }
            }
        }
    });
}

/// Reports that are handed on together: waking another thread costs as much as a small file.
struct Batch {
    reports: Vec<(usize, Report)>,
    since: Instant,
}

impl Default for Batch {
    fn default() -> Self {
        Self { reports: Vec::new(), since: Instant::now() }
    }
}

impl Batch {
    /// Whether these are many, or have waited for long.
    fn is_due(&self) -> bool {
        self.reports.len() >= 16 || self.since.elapsed() > Duration::from_millis(20)
    }

    fn take(&mut self) -> Vec<(usize, Report)> {
        std::mem::take(self).reports
    }
}

/// Scans one file; what cannot be opened is a report, too.
fn scan(scanner: &Scanner, file: &Found) -> Report {
    if let Some(why) = &file.trouble {
        return scanner.unreadable(why);
    }
    if file.path == Path::new("-") {
        return match spool(scanner.memory()) {
            Ok(bytes) => scanner.scan_bytes(bytes),
            Err(why) => scanner.unreadable(&why.to_string()),
        };
    }
    scanner.scan_path(&file.path)
}

/// Where reports go.
enum Sink {
    Text {
        verbose: bool,
        single: bool,
    },
    Lines,
    /// Documents are kept until all are known.
    Json {
        documents: Vec<serde_json::Value>,
        single: bool,
    },
    Sarif(sarif::Log),
}

impl Sink {
    fn new(args: &Scan, single: bool) -> Self {
        match args {
            Scan { sarif: true, .. } => Self::Sarif(sarif::Log::default()),
            Scan { json: true, .. } => Self::Json { documents: Vec::new(), single },
            Scan { jsonl: true, .. } => Self::Lines,
            _ => Self::Text { verbose: args.verbose, single },
        }
    }

    const fn is_text(&self) -> bool {
        matches!(self, Self::Text { .. })
    }

    fn take(&mut self, out: &mut dyn Write, file: &Found, report: &Report) -> std::io::Result<()> {
        let path = label(&file.path);
        match self {
            Self::Text { verbose, single } => {
                let shown = *verbose || *single || file.named;
                text::write(out, &path, report, shown)
            }
            Self::Lines => {
                writeln!(out, "{}", json::document(&path, report))?;
                out.flush()
            }
            Self::Json { documents, .. } => {
                documents.push(json::document(&path, report));
                Ok(())
            }
            Self::Sarif(log) => {
                log.add(&path, report);
                Ok(())
            }
        }
    }

    fn finish(&mut self, out: &mut dyn Write) -> std::io::Result<()> {
        let document = match self {
            Self::Json { documents, single } => {
                let mut documents = std::mem::take(documents);
                let only = if *single && documents.len() == 1 { documents.pop() } else { None };
                only.unwrap_or(serde_json::Value::Array(documents))
            }
            Self::Sarif(log) => std::mem::take(log).document(),
            _ => return Ok(()),
        };
        serde_json::to_writer_pretty(&mut *out, &document)?;
        writeln!(out)
    }
}

/// How many files have each verdict.
#[derive(Default)]
struct Totals {
    clean: u64,
    unknown: u64,
    dangerous: u64,
    error: u64,
    skipped: u64,
}

impl Totals {
    fn add(&mut self, verdict: Verdict) {
        let count = match verdict {
            Verdict::Clean => &mut self.clean,
            Verdict::Unknown => &mut self.unknown,
            Verdict::Dangerous => &mut self.dangerous,
            Verdict::Skipped => &mut self.skipped,
            _ => &mut self.error,
        };
        *count = count.saturating_add(1);
    }

    /// The last line, on standard error.
    fn tell(&self) {
        let Self { clean, unknown, dangerous, error, skipped } = self;
        let all = [clean, unknown, dangerous, error, skipped].into_iter().sum::<u64>();
        let line = format!(
            "{all} files: {dangerous} dangerous, {error} not read to their end, {unknown} unknown, {clean} clean, {skipped} skipped (no pickle in them)"
        );
        let _ = writeln!(anstream::stderr(), "{line}");
    }

    fn answer(&self, fail_on: FailOn) -> Answer {
        match fail_on {
            FailOn::Never => Answer::Well,
            _ if self.dangerous > 0 => Answer::No,
            _ if self.error > 0 => Answer::Failed,
            FailOn::Unknown if self.unknown > 0 => Answer::No,
            // Nothing at all was looked at: no file is not a clean file.
            _ if self.clean == 0 && self.unknown == 0 && self.skipped == 0 => Answer::Failed,
            _ => Answer::Well,
        }
    }
}
