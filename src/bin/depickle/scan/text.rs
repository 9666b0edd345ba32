//! A report as text.

use std::io::{self, Write};

use anstyle::{AnsiColor, Style};
use depickle::scan::{Finding, Report, Severity, Verdict};

use crate::output::printable;

/// Findings shown of one file.
const MOST: usize = 50;

/// Writes the verdict and what it rests on; of files in which nothing was found only if `all`.
pub(super) fn write(out: &mut dyn Write, path: &str, report: &Report, all: bool) -> io::Result<()> {
    let Report { verdict, findings, .. } = report;
    let quiet = matches!(verdict, Verdict::Clean | Verdict::Skipped);
    if quiet && !all {
        return Ok(());
    }
    let style = style(*verdict);
    write!(out, "{style}{verdict}{style:#}  {}", printable(path))?;
    writeln!(out, "  ({})", about(report))?;
    for finding in findings.iter().take(MOST) {
        one(out, finding)?;
    }
    if let Some(more @ 1..) = findings.len().checked_sub(MOST) {
        writeln!(out, "  … and {more} more findings (--json lists them)")?;
    }
    Ok(())
}

/// What the file is, and what was judged.
fn about(report: &Report) -> String {
    let kind = &report.kind;
    if report.verdict == Verdict::Skipped {
        format!("{kind}: no pickle in it")
    } else {
        let counts = report.counts();
        let all =
            counts.whitelisted.saturating_add(counts.unknown).saturating_add(counts.forbidden);
        let read = if report.complete { "" } else { ", not read to its end" };
        let pickles = match report.pickles {
            1 => "1 pickle".to_owned(),
            n => format!("{n} pickles"),
        };
        format!(
            "{kind}; {pickles}, {all} globals, {} off the whitelist{read}",
            all.saturating_sub(counts.whitelisted)
        )
    }
}

fn one(out: &mut dyn Write, finding: &Finding) -> io::Result<()> {
    let style = severity(finding.rule.severity);
    write!(out, "  {style}{}{style:#} {}", finding.rule.severity, finding.rule.id)?;
    if let Some(member) = &finding.place.member {
        write!(out, "  {}", printable(member))?;
    }
    if let Some(at) = finding.place.offset {
        write!(out, " at byte {}", at.0)?;
    }
    if finding.count > 1 {
        write!(out, "  ({} times)", finding.count)?;
    }
    writeln!(out)?;
    writeln!(out, "      {}", printable(&finding.message))?;
    if let Some(line) = &finding.line {
        writeln!(out, "      >>> {}", printable(line))?;
    }
    Ok(())
}

const fn style(verdict: Verdict) -> Style {
    match verdict {
        Verdict::Clean => AnsiColor::Green.on_default(),
        Verdict::Unknown => AnsiColor::Yellow.on_default(),
        Verdict::Skipped => Style::new(),
        _ => AnsiColor::Red.on_default().bold(),
    }
}

const fn severity(severity: Severity) -> Style {
    match severity {
        Severity::Critical | Severity::High => AnsiColor::Red.on_default(),
        Severity::Medium => AnsiColor::Yellow.on_default(),
        Severity::Info => Style::new(),
    }
}
