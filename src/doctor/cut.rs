//! Files that end early, or are damaged: how much is there, how much is missing, what survives.

use std::sync::Arc;

use super::object::State;
use super::survey::{Survey, survey};
use super::words::{counted, few, human, percent, short};
use super::{Diagnosis, Look, Report, archive, object};
use crate::base::{Budget, Category, FileOffset, Source};
use crate::container::{Tar, is_zip, starts_as_tar};
use crate::pickle;
use crate::torch::{Checkpoint, Container, Error, Kind, WholeLen};

/// Everything but zip archives and what has been named: the layouts before 1.6, plain pickles,
/// safetensors.
pub(super) fn examine(
    look: &Look<'_>,
    source: &Arc<dyn Source>,
    report: &mut Report,
) -> Result<(), Error> {
    let opened = match look.path {
        // Metadata of a distributed checkpoint leads to other files.
        Some(path) => look.reading().open(path),
        None => look.open(source, false),
    };
    match opened {
        Ok(checkpoint) => whole(look, &checkpoint, report),
        // An archive behind other bytes.
        Err(_) if is_zip(&**source)? => archive::examine(look, source, report),
        Err(why) => {
            let salvaged = look.open(source, true);
            match salvaged {
                Ok(checkpoint) if why.category() == Category::Malformed => {
                    tar(look, source, &checkpoint, &why, report)
                }
                _ => {
                    if starts_as_tar(&**source)? {
                        report.what("tar", "a tar archive");
                    }
                    pickle(&why, source.len(), report);
                    Ok(())
                }
            }
        }
    }
}

/// A file that can be opened may lack the end of its storages, or have more than them.
fn whole(look: &Look<'_>, checkpoint: &Checkpoint, report: &mut Report) -> Result<(), Error> {
    let len = match checkpoint.container() {
        Container::Legacy | Container::Safetensors => checkpoint.whole_len()?,
        _ => None,
    };
    let mut state = State::Whole;
    if let Some(WholeLen::Exactly(len)) = len {
        match report.nbytes.cmp(&len) {
            std::cmp::Ordering::Less => {
                let found = survey(checkpoint, false)?;
                truncated(report, Some(WholeLen::Exactly(len)), Some(&found));
                state = State::Broken;
            }
            std::cmp::Ordering::Greater => {
                let more = report.nbytes.saturating_sub(len);
                let message = format!("{} follow the last tensor", bytes(more));
                report.add(
                    Diagnosis::warning("trailing-bytes", message)
                        .at(FileOffset(len))
                        .advice("torch.load ignores them; look at where they come from"),
                );
            }
            std::cmp::Ordering::Equal => {}
        }
    }
    object::describe(look, checkpoint, state, report)
}

fn bytes(count: u64) -> String {
    counted(count, "byte", "bytes")
}

/// Says that a file ends early, by how much, and what of it is whole.
pub(super) fn truncated(report: &mut Report, whole: Option<WholeLen>, found: Option<&Survey>) {
    let there = report.nbytes;
    let size = |count: u64| format!("{} ({count} bytes)", human(count));
    let much = match whole {
        Some(WholeLen::Exactly(len)) => {
            let missing = len.saturating_sub(there);
            format!(
                "it has {} of {len} bytes ({} %): {} are missing",
                there,
                percent(there, len),
                size(missing)
            )
        }
        Some(WholeLen::AtLeast(len)) => {
            let missing = len.saturating_sub(there);
            format!("it has {}: at least {} are missing", size(there), size(missing))
        }
        _ => format!("it has {}: how much is missing cannot be told", size(there)),
    };
    let message = format!("the file ends early: {much}");
    let mut advice =
        "a download or copy was broken off: get it again (`curl -C - -O URL` and `wget -c \
        URL` go on where it stopped)"
            .to_owned();
    if let Some(found) = found {
        let all = found.whole.len().saturating_add(found.lost.len());
        let whole = match found.whole.len() {
            0 => "; no tensor of it is whole".to_owned(),
            whole if found.lost.is_empty() => {
                format!(
                    "; all {whole} tensors are whole: `depickle doctor FILE --salvage OUT` writes them"
                )
            }
            whole => format!(
                "; {whole} of {all} tensors are whole: `depickle doctor FILE --salvage OUT` writes them"
            ),
        };
        advice.push_str(&whole);
    }
    let diagnosis = Diagnosis::error("truncated", message).advice(advice).at(FileOffset(there));
    report.add(diagnosis);
    if let Some(found) = found.filter(|found| !found.lost.is_empty()) {
        let names = few(found.lost.iter().map(|lost| &*lost.name));
        let count = counted(found.lost.len() as u64, "tensor", "tensors");
        report.add(Diagnosis::error("lost-tensors", format!("{count} cannot be had: {names}")));
    }
}

/// A tar archive that ends early.
fn tar(
    look: &Look<'_>,
    source: &Arc<dyn Source>,
    checkpoint: &Checkpoint,
    why: &Error,
    report: &mut Report,
) -> Result<(), Error> {
    let found = survey(checkpoint, false)?;
    if checkpoint.container() == Container::Tar {
        // The archive ends behind its last member: how far, its writer knew.
        let tar = Tar::recover(&**source, &mut Budget::new(look.options.limits.clone()))?;
        let missing = tar.members().last().map_or(0, |member| member.missing);
        let whole = Some(WholeLen::AtLeast(report.nbytes.saturating_add(missing)));
        truncated(report, whole, Some(&found));
    } else {
        object::refused(why, report);
    }
    object::describe(look, checkpoint, State::Broken, report)
}

/// What cannot be opened at all.
fn pickle(why: &Error, len: u64, report: &mut Report) {
    let Kind::Pickle(broken) = why.kind() else {
        if matches!(why.kind(), Kind::Safetensors(_)) {
            report.what("safetensors", "a damaged safetensors file");
        }
        object::refused(why, report);
        return;
    };
    let cut = matches!(
        broken.kind(),
        pickle::Kind::Ended(_) | pickle::Kind::NoStop | pickle::Kind::NoNewline
    );
    // Any bytes may read as a few operations.
    let begun = broken.offset().0 >= 2;
    if cut && begun {
        report.what("pickle", "a pickle that ends early");
        truncated(report, None, None);
        let message = format!("the pickle breaks off: {}", short(&broken.to_string()));
        report.add(
            Diagnosis::error("broken-pickle", message)
                .at(broken.offset())
                .advice("the list of tensors is in it: without its end, none can be found"),
        );
    } else if begun && broken.offset().0 >= len / 2 {
        report.what("pickle", "a damaged pickle");
        object::refused(why, report);
    } else {
        report.what("unknown", "an unknown file");
        let message = format!(
            "its content is of no kind that is known, and no pickle: {}",
            short(&broken.to_string())
        );
        report.add(
            Diagnosis::error("unknown-format", message)
                .at(broken.offset())
                .advice("get the file again from where it came; `file` and `xxd` may tell more"),
        );
    }
}
