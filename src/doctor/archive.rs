//! Zip archives: their directory, their members, what other programs do to them.

use std::sync::Arc;

use super::cut::truncated;
use super::object::State;
use super::survey::survey;
use super::words::{counted, few, human, short};
use super::{Diagnosis, Look, Report, object};
use crate::base::{Budget, Category, FileOffset, Source};
use crate::container::{self, Finding, Member, Method, Oddity, Recovery, Zip};
use crate::torch::{Container, Error, Kind, WholeLen};

/// Looks at an archive.
pub(super) fn examine(
    look: &Look<'_>,
    source: &Arc<dyn Source>,
    report: &mut Report,
) -> Result<(), Error> {
    report.what("archive", "a zip archive");
    let mut budget = Budget::new(look.options.limits.clone());
    let zip = match Zip::open(&**source, &mut budget) {
        Ok(zip) => zip,
        Err(why) if why.category() == Category::Malformed => {
            return damaged(look, source, &why, report);
        }
        Err(why) => {
            object::refused(&why.into(), report);
            return Ok(());
        }
    };
    for finding in zip.findings().iter().take(MOST) {
        report.add(odd(finding));
    }
    if let Some((thing, kind, advice, python)) = foreign(&zip) {
        report.what(kind, thing);
        let message = format!("this is {thing}, not a PyTorch file");
        report.add(Diagnosis::error("wrong-format", message).advice(advice));
        let path = super::python::quoted(&report.path);
        report.load = python.replace("PATH", &path).lines().map(str::to_owned).collect();
        return Ok(());
    }
    let names = arrangement(&zip, report);
    match look.open(source, false) {
        Ok(checkpoint) => {
            object::describe(look, &checkpoint, State::Whole, report)?;
            if names == Arrangement::Refused {
                report.load.clear();
            }
            repacked(&zip, report);
        }
        Err(why) => refused(&zip, &why, report),
    }
    checksums(look, &**source, &zip, report);
    Ok(())
}

/// Findings that are reported one by one.
const MOST: usize = 64;

/// What the directory shows.
fn odd(finding: &Finding) -> Diagnosis {
    let (id, severe, advice) = match finding.oddity {
        Oddity::Duplicate => (
            "duplicate-member",
            true,
            "readers differ in which of them they take: an honest writer makes none; get it again",
        ),
        Oddity::Overlap(_) | Oddity::Outside(_) => {
            ("overlapping-members", true, "an honest writer makes none: get it again")
        }
        Oddity::Flags(_) => (
            "encrypted",
            true,
            "PyTorch reads no encrypted archives: unpack it with its password (`7z x`), then pack the \
             folder again with `zip -0 -r`",
        ),
        Oddity::Method(_) => {
            ("compression", true, "unpack it (`7z x`), then pack the folder again with `zip -0 -r`")
        }
        Oddity::StoredSizes { .. } => ("damaged", true, "get it again from where it came"),
        Oddity::Name(_) | Oddity::OtherName(_) => {
            ("odd-name", true, "do not unpack it where it could overwrite something")
        }
        Oddity::Prefix(_) => (
            "leading-bytes",
            true,
            "PyTorch takes such a file for one of its older layouts and refuses it: cut the bytes off",
        ),
        Oddity::Gap(_) | Oddity::CommentCut(_) | Oddity::SecondEnd => {
            ("odd-end", false, "readers may find another archive in it: get it again")
        }
        Oddity::Trailing(_) => (
            "trailing-bytes",
            false,
            "PyTorch ignores them, other readers may not: look at where they come from",
        ),
    };
    let message = finding.to_string();
    let message = short(message.rsplit_once(" (at ").map_or(&*message, |(text, _)| text));
    let found =
        if severe { Diagnosis::error(id, message) } else { Diagnosis::warning(id, message) };
    found.at(finding.at).advice(advice)
}

type Foreign = (&'static str, &'static str, &'static str, &'static str);

/// Archives of other programs, by members that are only theirs.
fn foreign(zip: &Zip) -> Option<Foreign> {
    let ends = |suffix: &str| zip.members().any(|it| it.name_bytes().ends_with(suffix.as_bytes()));
    let has = |name: &str| zip.members().any(|it| it.name_bytes() == name.as_bytes());
    let begins =
        |prefix: &str| zip.members().any(|it| it.name_bytes().starts_with(prefix.as_bytes()));
    if zip.members().len() == 0 {
        return Some(("an empty zip archive", "archive", "get it again from where it came", ""));
    }
    if ends("data.pkl") || ends(".data/extern_modules") || ends("archive_format") {
        return None;
    }
    if zip.members().all(|it| it.name_bytes().ends_with(b".npy")) {
        return Some((
            "an archive of NumPy arrays (.npz)",
            "npz",
            "numpy.load opens it",
            "import numpy\nobj = numpy.load(PATH, allow_pickle=False)",
        ));
    }
    if has("model.weights.h5") && has("config.json") {
        return Some((
            "a Keras model (.keras)",
            "keras",
            "Keras opens it",
            "import keras\nobj = keras.saving.load_model(PATH)",
        ));
    }
    if has("[Content_Types].xml") {
        return Some(("an Office document", "office", "get the right file from where it came", ""));
    }
    if begins("META-INF/") && (ends(".class") || has("META-INF/MANIFEST.MF")) {
        return Some(("a Java archive", "jar", "get the right file from where it came", ""));
    }
    if has("MAR-INF/MANIFEST.json") {
        return Some((
            "an archive of TorchServe (.mar)",
            "mar",
            "unpack it: the weights are a file in it",
            "",
        ));
    }
    if ends(".dist-info/WHEEL") {
        return Some(("a Python package (.whl)", "wheel", "pip installs it", ""));
    }
    if has("schema.json") && !ends(".pt") {
        return Some((
            "a skops file",
            "skops",
            "skops.io.load opens it",
            "import skops.io\nobj = skops.io.load(PATH)",
        ));
    }
    if ends("saved_model.pb") {
        return Some((
            "a packed TensorFlow SavedModel",
            "tf-saved-model",
            "unpack it; TensorFlow opens the folder",
            "",
        ));
    }
    if ends(".mlmodel") {
        return Some(("a packed Core ML model", "coreml", "unpack it; coremltools open it", ""));
    }
    let weights = [".pth", ".pt", ".bin", ".ckpt", ".safetensors", ".onnx", ".h5", ".gguf"];
    if weights.iter().any(|suffix| ends(suffix)) {
        return Some((
            "a zip archive with a model's files in it",
            "archive",
            "unpack it (`unzip`): the weights are a file in it",
            "",
        ));
    }
    Some(("a zip archive of something else", "archive", "`unzip -l` lists what is in it", ""))
}

/// How members lie in folders.
#[derive(PartialEq, Eq)]
enum Arrangement {
    /// As PyTorch wants them.
    Fine,
    /// As it refuses them.
    Refused,
}

/// What programs put into the archives they pack.
fn is_junk(name: &[u8]) -> bool {
    let mut parts = name.split(|&byte| byte == b'/');
    parts.any(|part| {
        matches!(part, b"__MACOSX" | b".DS_Store" | b"Thumbs.db" | b"desktop.ini")
            || part.starts_with(b"._")
    })
}

/// PyTorch wants all members in one folder, and the pickle right in it.
fn arrangement(zip: &Zip, report: &mut Report) -> Arrangement {
    let pickle = zip.members().find(|member| {
        let folder = member.name_bytes().strip_suffix(b"data.pkl");
        !is_junk(member.name_bytes())
            && folder.is_some_and(|folder| folder.is_empty() || folder.ends_with(b"/"))
    });
    let Some(pickle) = pickle else { return Arrangement::Fine };
    let name = pickle.name();
    let folder = name.strip_suffix("data.pkl").unwrap_or_default();
    let depth = folder.matches('/').count();
    let root = folder.split('/').next().unwrap_or_default();
    let outside = |member: &Member<'_>| {
        let name = member.name_bytes();
        name.split(|&byte| byte == b'/').next() != Some(root.as_bytes()) && depth > 0
    };
    let strangers: Vec<_> = zip.members().filter(outside).collect();
    let junk: Vec<_> = zip.members().filter(|it| is_junk(it.name_bytes())).collect();
    let mut found = Arrangement::Fine;
    if let Some(first) = junk.first() {
        let names = few(junk
            .iter()
            .map(|it| it.name().into_owned())
            .collect::<Vec<_>>()
            .iter()
            .map(|it| &**it));
        let message = format!("the program that packed it again added {names}");
        let advice = "take them out: `zip -d FILE '__MACOSX/*' '*/.DS_Store' '*/._*'`";
        let diagnosis = if strangers.is_empty() {
            Diagnosis::warning("foreign-members", message)
        } else {
            found = Arrangement::Refused;
            Diagnosis::error(
                "foreign-members",
                format!("{message}: PyTorch refuses several root folders"),
            )
        };
        report.add(diagnosis.at(first.entry_offset()).advice(advice));
    } else if let Some(first) = strangers.first() {
        found = Arrangement::Refused;
        let message = format!(
            "{} lie outside of the folder {}, the first is {}: PyTorch refuses several root folders",
            counted(strangers.len() as u64, "member", "members"),
            super::python::quoted(root),
            super::python::quoted(&short(&first.name()))
        );
        report.add(
            Diagnosis::error("several-roots", message)
                .at(first.entry_offset())
                .advice("pack the one folder alone: `unzip`, then `zip -0 -r -D OUT.pth FOLDER`"),
        );
    }
    if depth == 0 || depth > 1 {
        found = Arrangement::Refused;
        let (where_, advice) = if depth == 0 {
            (
                "right in the archive, in no folder".to_owned(),
                "pack it with a folder around: `mkdir m && unzip -d m FILE && zip -0 -r -D OUT.pth m`".to_owned(),
            )
        } else {
            let outer =
                folder.trim_end_matches('/').rsplit_once('/').map_or("", |(outer, _)| outer);
            (
                format!("{depth} folders deep, in {}", super::python::quoted(&short(folder))),
                format!(
                    "pack the innermost folder alone: `unzip FILE && cd {} && zip -0 -r -D OUT.pth *`",
                    super::python::quoted(outer)
                ),
            )
        };
        let message =
            format!("the pickle lies {where_}: PyTorch wants one folder around everything");
        report
            .add(Diagnosis::error("wrong-root", message).at(pickle.entry_offset()).advice(advice));
    }
    found
}

/// Members that another program compressed.
fn repacked(zip: &Zip, report: &mut Report) {
    let script = matches!(
        report.container,
        Some(Container::TorchScript | Container::Package | Container::Export)
    );
    let data = zip.members().filter(|it| it.method() == Method::Deflated);
    let count = data.filter(|it| !script || it.name_bytes().ends_with(b".pkl")).count();
    if count == 0 {
        return;
    }
    let message = format!(
        "{} compressed: another program packed it again",
        counted(count as u64, "member is", "members are")
    );
    report.add(Diagnosis::note("repacked", message).advice(
        "PyTorch loads it, but neither mmap=True nor lending without a copy work; to undo it, unpack \
         it and pack the folder with `zip -0 -r`",
    ));
}

/// Why an archive with a directory is no checkpoint.
fn refused(zip: &Zip, why: &Error, report: &mut Report) {
    let told =
        report.has("encrypted") || report.has("compression") || report.has("duplicate-member");
    match why.kind() {
        // PyTorch fails as this does.
        _ if report.has("leading-bytes") => {}
        Kind::Container(inner) if told && inner.category() != Category::Io => {}
        Kind::MissingMember if zip.members().any(|it| it.name_bytes().ends_with(b"data.pkl")) => {
            report.add(Diagnosis::error("damaged", why.to_string()).at(why.offset()));
        }
        _ => object::refused(why, report),
    }
}

/// Compares every member's checksum.
fn checksums(look: &Look<'_>, source: &dyn Source, zip: &Zip, report: &mut Report) {
    if look.options.quick {
        return;
    }
    let (mut unchecked, mut wrong) = (0_u64, 0_u64);
    // No more than the file's bytes: members that share theirs are among the findings.
    let mut left = source.len();
    for member in zip.members() {
        let Some(rest) = left.checked_sub(member.compressed_size()) else { continue };
        left = rest;
        if member.crc32() == 0 && member.size() > 0 && member.method() == Method::Stored {
            unchecked = unchecked.saturating_add(1);
            continue;
        }
        let checked = zip.check_crc_with(source, member, &look.options.limits, look.progress);
        let Err(why) = checked else { continue };
        match why.kind() {
            // Said from the directory already.
            container::Kind::Flags(_)
            | container::Kind::Method(_)
            | container::Kind::StoredSizes { .. } => {}
            container::Kind::Crc(_)
            | container::Kind::Inflate(_)
            | container::Kind::Short { .. }
            | container::Kind::Long(_) => {
                wrong = wrong.saturating_add(1);
                if wrong <= MOST as u64 {
                    report.add(Diagnosis::error("checksum", short(&why.to_string())).at(why.offset()).advice(
                        "its bytes changed after it was written, which torch.load does not notice: get it \
                         again, and check disk and memory",
                    ));
                }
            }
            _ => report.add(
                Diagnosis::error("disagreement", short(&why.to_string()))
                    .at(why.offset())
                    .advice("readers may see other data than the directory says: get it again"),
            ),
        }
    }
    if unchecked > 0 {
        let message = format!(
            "{} without a checksum: damage would not be noticed",
            counted(unchecked, "member is", "members are")
        );
        report.add(
            Diagnosis::note("no-checksums", message).advice(
                "torch.serialization.set_crc32_options(True) before torch.save writes them",
            ),
        );
    }
}

/// An archive whose directory is missing or wrong.
fn damaged(
    look: &Look<'_>,
    source: &Arc<dyn Source>,
    why: &container::Error,
    report: &mut Report,
) -> Result<(), Error> {
    if !container::starts_as_zip(&**source)? {
        leading(look, source, report);
        return Ok(());
    }
    let opened = look.open(source, true);
    let checkpoint = match opened {
        Ok(checkpoint) => checkpoint,
        Err(broken) => {
            unsalvageable(source, why, &broken, look, report);
            return Ok(());
        }
    };
    let found = survey(&checkpoint, !look.options.quick)?;
    let default = Recovery::default();
    let recovery = checkpoint.recovery().unwrap_or(&default);
    let whole = checkpoint.whole_len()?;
    let short_of = match whole {
        Some(WholeLen::Exactly(len)) => len > report.nbytes,
        Some(WholeLen::AtLeast(len)) => len > report.nbytes || is_truncated(why),
        None => is_truncated(why),
    };
    if short_of && is_truncated(why) {
        truncated(report, whole, Some(&found));
    } else {
        let message = format!("its directory cannot be used: {}", short(&why.to_string()));
        let count = found.whole.len();
        report.add(Diagnosis::error("damaged-directory", message).at(why.offset()).advice(format!(
            "get it again; {count} of {} tensors are whole: `depickle doctor FILE --salvage OUT` writes them",
            count.saturating_add(found.lost.len())
        )));
        if !found.lost.is_empty() {
            let names = few(found.lost.iter().map(|lost| &*lost.name));
            report.add(Diagnosis::error(
                "lost-tensors",
                format!(
                    "{} cannot be had: {names}",
                    counted(found.lost.len() as u64, "tensor", "tensors")
                ),
            ));
        }
    }
    for gap in recovery.gaps.iter().take(MOST) {
        let message = format!("{} of no member", human(gap.len));
        report.add(Diagnosis::warning("gap", message).at(gap.at));
    }
    object::describe(look, &checkpoint, State::Broken, report)
}

/// An archive that other bytes stand before: all of its directory's places are wrong.
fn leading(look: &Look<'_>, source: &Arc<dyn Source>, report: &mut Report) {
    let mut budget = Budget::new(look.options.limits.clone());
    let zip = Zip::recover(&**source, &mut budget);
    let first = zip.ok().and_then(|zip| Some(zip.members().next()?.header_offset().0));
    let Some(first) = first else {
        let message = "it ends as a zip archive does, but no archive is in it";
        report.add(Diagnosis::error("damaged", message).advice("get it again"));
        return;
    };
    let message = format!("{} before the archive", counted(first, "byte stands", "bytes stand"));
    let start = first.saturating_add(1);
    report.add(Diagnosis::error("leading-bytes", message).at(FileOffset(0)).advice(format!(
        "PyTorch refuses it: cut them off (`tail -c +{start} FILE > OUT.pth`), then look at OUT.pth"
    )));
}

fn is_truncated(why: &container::Error) -> bool {
    matches!(
        why.kind(),
        container::Kind::Truncated
            | container::Kind::DirectoryOutside(_)
            | container::Kind::Ended { .. }
    )
}

/// The pickle itself is not there, or broken.
fn unsalvageable(
    source: &Arc<dyn Source>,
    why: &container::Error,
    broken: &Error,
    look: &Look<'_>,
    report: &mut Report,
) {
    let mut budget = Budget::new(look.options.limits.clone());
    let recovered = Zip::recover(&**source, &mut budget);
    let recovery = recovered.as_ref().ok().and_then(Zip::recovery);
    if is_truncated(why) {
        truncated(report, None, None);
    } else {
        let message = format!("its directory cannot be used: {}", short(&why.to_string()));
        report.add(
            Diagnosis::error("damaged-directory", message).at(why.offset()).advice("get it again"),
        );
    }
    let cut = recovery.and_then(|it| it.lost.iter().find(|lost| lost.name.ends_with(b"data.pkl")));
    let (message, at) = match cut {
        Some(lost) => (
            "data.pkl, which lists the tensors, is not whole: nothing can be saved".to_owned(),
            Some(lost.header),
        ),
        None => (format!("nothing can be saved: {}", short(&broken.to_string())), broken.offset()),
    };
    report.add(Diagnosis::error("nothing-left", message).at(at.or(Some(FileOffset(0)))));
}
