//! The text that people read.

use std::fmt::Write as _;
use std::io::Write;

use anstyle::{AnsiColor, Style};
use depickle::torch::{Comparison, DType, Size};

use super::plain::Difference;
use super::side::{Held, Side};
use super::{Diff, Fact, Found, Row};
use crate::output::{Failure, count, printable};

pub(super) fn print(args: &Diff, left: &Side, right: &Side, found: &Found) -> Result<(), Failure> {
    let mut text = String::new();
    let width =
        found.rows.iter().map(|row| printable(&row.name).chars().count()).max().unwrap_or(0);
    for row in &found.rows {
        let (sign, style) = sign(row, found.fits);
        let said: Vec<String> = row.facts.iter().map(|fact| said(row, fact, found.fits)).collect();
        let name = printable(&row.name);
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{style}{sign} {name:width$}{style:#}  {}", said.join("; "));
    }
    for difference in &found.objects {
        object(&mut text, difference);
    }
    for line in summary(args, left, right, found) {
        let _ = writeln!(text, "{line}");
    }
    let mut out = anstream::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()?;
    Ok(())
}

const fn style(color: AnsiColor) -> Style {
    color.on_default()
}

/// What a row begins with: the sign of its gravest fact.
fn sign(row: &Row, fits: bool) -> (char, Style) {
    if row.facts.contains(&Fact::Missing) {
        ('-', style(AnsiColor::Red))
    } else if row.facts.contains(&Fact::Unexpected) {
        ('+', style(AnsiColor::Green))
    } else if row.facts.iter().any(|fact| fact.counts(fits)) {
        ('~', style(AnsiColor::Yellow))
    } else {
        ('=', Style::new())
    }
}

fn said(row: &Row, fact: &Fact, fits: bool) -> String {
    let (left, right) = (row.left.as_ref(), row.right.as_ref());
    match fact {
        Fact::Missing => format!("missing: {}", held(left)),
        Fact::Unexpected => format!("unexpected: {}", held(right)),
        Fact::Kept => "kept as the model has it: the weights are of a version without".to_owned(),
        Fact::Shape => format!("shape {} → {}", shape(left), shape(right)),
        Fact::Layout => {
            let name = |held: Option<&Held>| {
                held.and_then(|held| held.tensor.as_ref()).map_or("?", |it| it.layout().name())
            };
            format!("layout {} → {}", name(left), name(right))
        }
        Fact::DType => {
            let name =
                |held: Option<&Held>| held.and_then(|held| held.dtype).map_or("?", DType::name);
            // Loading reads what is on the right as what is on the left.
            let cast = if fits { ", cast on loading" } else { "" };
            format!("dtype {} → {}{cast}", name(left), name(right))
        }
        Fact::Quantizer => "another scale or zero point".to_owned(),
        Fact::Other(text) => printable(text),
        Fact::Role(left, right) => format!("{left} → {right}"),
        Fact::Grad(left, right) => format!("requires_grad {left} → {right}"),
        Fact::Device(left, right) => {
            format!("device {} → {}", printable(left), printable(right))
        }
        Fact::Values(part, found) => {
            let part = if part.is_empty() { String::new() } else { format!("{part}: ") };
            format!(
                "{part}{}",
                values(
                    found,
                    left.and_then(|held| held.shape.as_deref()).filter(|_| part.is_empty())
                )
            )
        }
    }
}

fn held(held: Option<&Held>) -> String {
    match held.and_then(|held| held.tensor.as_ref()) {
        Some(tensor) => format!("{} {}", crate::tensor::kind(tensor), crate::tensor::shape(tensor)),
        None => "no tensor".to_owned(),
    }
}

fn shape(held: Option<&Held>) -> String {
    held.and_then(|held| held.tensor.as_ref()).map_or("?".to_owned(), crate::tensor::shape)
}

fn values(found: &Comparison, shape: Option<&[u64]>) -> String {
    let mut text = format!("{} of {} differ", count(found.differing), count(found.elements));
    if found.differing == 0 {
        text = match found.absolute {
            Some(_) => "differs within the tolerance".to_owned(),
            None => "equal as numbers".to_owned(),
        };
    }
    for (what, gap) in [("max abs", found.absolute), ("max rel", found.relative)] {
        if let Some(gap) = gap {
            let at = place(gap.at, shape);
            let _ = write!(text, ", {what} {} at {at}", size(gap.size));
        }
    }
    if found.nan > 0 {
        let _ = write!(text, ", {} NaN on one side only", count(found.nan));
    }
    if found.only_bits > 0 {
        let _ = write!(text, ", {} differ in bits only", count(found.only_bits));
    }
    text
}

fn size(size: Size) -> String {
    match size {
        Size::Exact(size) => size.to_string(),
        Size::Float(size) if size == 0.0 || (1e-3..1e6).contains(&size) => {
            let text = format!("{size:.6}");
            text.trim_end_matches('0').trim_end_matches('.').to_owned()
        }
        Size::Float(size) => format!("{size:.3e}"),
    }
}

/// Indices of an element, one a dimension.
fn place(at: u64, shape: Option<&[u64]>) -> String {
    let Some(shape) = shape else { return at.to_string() };
    let (mut left, mut indices) = (at, Vec::new());
    for size in shape.iter().rev() {
        indices.push(left.checked_rem(*size).unwrap_or(0).to_string());
        left = left.checked_div(*size).unwrap_or(0);
    }
    indices.reverse();
    format!("[{}]", indices.join(", "))
}

/// Characters of a value that are shown.
const SHOWN: usize = 60;

fn object(text: &mut String, difference: &Difference) {
    let short = |value: &Option<String>| {
        let value = printable(value.as_deref().unwrap_or_default());
        match value.char_indices().nth(SHOWN) {
            Some((at, _)) => format!("{}…", value.get(..at).unwrap_or_default()),
            None => value,
        }
    };
    let path = if difference.path.is_empty() {
        "the object".to_owned()
    } else {
        printable(&difference.path)
    };
    let (left, right) = (short(&difference.left), short(&difference.right));
    let line = match (&difference.left, &difference.right) {
        (Some(_), None) => format!("- {path}: {left}"),
        (None, _) => format!("+ {path}: {right}"),
        (Some(_), Some(_)) => format!("~ {path}: {left} → {right}"),
    };
    let color = match (&difference.left, &difference.right) {
        (Some(_), None) => AnsiColor::Red,
        (None, _) => AnsiColor::Green,
        (Some(_), Some(_)) => AnsiColor::Yellow,
    };
    let style = style(color);
    let _ = writeln!(text, "{style}{line}{style:#}");
}

fn summary(args: &Diff, left: &Side, right: &Side, found: &Found) -> Vec<String> {
    let [one, other, both] = found.keys;
    let mut parts = Vec::new();
    let mut add = |number: usize, what: &str| {
        if number > 0 {
            parts.push(format!("{} {what}", count(number as u64)));
        }
    };
    add(found.count(|fact| *fact == Fact::Missing), "missing");
    add(found.count(|fact| *fact == Fact::Unexpected), "unexpected");
    add(found.count(|fact| *fact == Fact::Kept), "kept");
    add(found.count(|fact| *fact == Fact::Shape), "of another shape");
    add(found.count(|fact| *fact == Fact::DType), "of another dtype");
    add(
        found.count(|fact| matches!(fact, Fact::Values(_, found) if found.differing > 0)),
        "with other values",
    );
    let odd = |fact: &Fact| {
        matches!(
            fact,
            Fact::Layout
                | Fact::Quantizer
                | Fact::Other(_)
                | Fact::Role(..)
                | Fact::Grad(..)
                | Fact::Device(..)
        )
    };
    add(found.count(odd), "different otherwise");
    add(found.objects.len(), "other values different");
    let keys = format!(
        "{} keys on the left, {} on the right, {} in both",
        count(one as u64),
        count(other as u64),
        count(both as u64)
    );
    let counts = if parts.is_empty() { keys } else { format!("{keys}: {}", parts.join(", ")) };
    let mut lines = Vec::new();
    if one > 0 || other > 0 || !found.plain {
        lines.push(counts);
    } else if !parts.is_empty() {
        lines.push(parts.join(", "));
    }
    lines.push(verdict(args, left, right, found));
    lines.extend(found.advice.iter().map(|advice| printable(&advice.text())));
    lines
}

fn verdict(args: &Diff, left: &Side, right: &Side, found: &Found) -> String {
    let (green, red) = (style(AnsiColor::Green).bold(), style(AnsiColor::Red).bold());
    if !found.errors.is_empty() {
        return format!("{red}could not compare all{red:#}");
    }
    let class = left.checkpoint.class_of(left.object).unwrap_or_default();
    let class = printable(class.rsplit('.').next().unwrap_or_default());
    let class = if class.is_empty() { printable(left.label) } else { class };
    match (found.fits, found.same()) {
        (true, true) => format!("{green}{} fits {class}{green:#}", printable(right.label)),
        (true, false) if found.message.is_none() => {
            format!("{red}different{red:#}: it fits {class}, but has other values")
        }
        (true, false) => {
            format!("{red}{} does not fit {class}{red:#}", printable(right.label))
        }
        (false, true) => {
            let mut what = Vec::new();
            if found.keys[0] > 0 || !found.plain {
                what.push("names, shapes, dtypes");
                what.push(if args.compares_values() { "values" } else { "not values (--values)" });
            }
            if found.plain {
                what.push("all that is no tensor");
            }
            format!("{green}the same{green:#}: {}", what.join(", "))
        }
        (false, false) => format!("{red}different{red:#}"),
    }
}
