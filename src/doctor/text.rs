//! Text where a checkpoint was expected: pointers, error pages, indexes, programs.

use std::sync::Arc;

use serde_json::Value;

use super::python::quoted;
use super::words::{human, short};
use super::{Diagnosis, Look, Report, object};
use crate::base::Source;
use crate::torch::{Error, sniff};

/// Text that is read at most: pointers and error pages are short.
const MOST: u64 = 1 << 20;

/// JSON takes so many times its bytes when parsed, at most.
const UNFOLDED: u64 = 40;

/// Says what a text is. False if the file is none, or may be a pickle or checkpoint.
pub(super) fn examine(
    look: &Look<'_>,
    source: &Arc<dyn Source>,
    report: &mut Report,
) -> Result<bool, Error> {
    let Some(message) = sniff::text_of(&**source)? else { return Ok(false) };
    let bytes = source.fetch(0, source.len().min(MOST))?;
    let text = String::from_utf8_lossy(&bytes);
    if text.starts_with("version https://git-lfs") || text.starts_with("version https://hawser") {
        lfs(&text, look, report);
    } else if message == sniff::PAGE {
        page(&text, report);
    } else if text.trim_start().starts_with(['{', '[']) {
        return json(look, source, &text, report);
    } else if sniff::is_text_pickle(&**source)? {
        return Ok(false);
    } else {
        plain(&text, report);
    }
    Ok(true)
}

fn lfs(text: &str, look: &Look<'_>, report: &mut Report) {
    let field = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        line.map(|value| value.trim().to_owned())
    };
    let size = field("size ").and_then(|size| size.parse::<u64>().ok());
    let oid = field("oid ").unwrap_or_else(|| "unknown".to_owned());
    let size =
        size.map_or("of unknown size".to_owned(), |size| format!("{} ({size} bytes)", human(size)));
    report.what("git-lfs", "a git-LFS pointer: the file itself stayed on the server");
    let pull = match look.path.and_then(|path| path.file_name()) {
        Some(name) => {
            format!("git lfs install && git lfs pull --include {}", quoted(&name.to_string_lossy()))
        }
        None => "git lfs install && git lfs pull".to_owned(),
    };
    let message = format!("only the pointer is here; the file is {size}, {}", short(&oid));
    report.add(Diagnosis::error("git-lfs-pointer", message).advice(format!(
        "in its repository run `{pull}`; from Hugging Face, `hf download` gets files instead of \
         pointers"
    )));
}

fn page(text: &str, report: &mut Report) {
    let lower = text.to_ascii_lowercase();
    let title = lower.find("<title").and_then(|start| {
        let start = start.saturating_add(lower.get(start..)?.find('>')?).saturating_add(1);
        let len = lower.get(start..)?.find("</title")?;
        text.get(start..start.saturating_add(len))
    });
    let code = lower.find("<code>").and_then(|start| {
        let start = start.saturating_add(6);
        let len = lower.get(start..)?.find("</code>")?;
        text.get(start..start.saturating_add(len))
    });
    let said = title.or(code).map(|said| said.split_whitespace().collect::<Vec<_>>().join(" "));
    let said = said.filter(|said| !said.is_empty());
    let xml = lower.trim_start().starts_with("<?xml") && !lower.contains("<html");
    let (kind, thing) = if xml { ("xml", "an XML document") } else { ("html", "a web page") };
    report.what(kind, format!("{thing} that was saved in place of the file"));
    let message = match &said {
        Some(said) => format!("{thing} was saved in place of the file: {}", quoted(&short(said))),
        None => format!("{thing} was saved in place of the file"),
    };
    let advice = if lower.contains("google drive") || lower.contains("drive.google") {
        "Google Drive asks before it hands out large files: `pip install gdown`, then `gdown ID`"
    } else if lower.contains("huggingface.co") && lower.contains("/blob/") {
        "this is the page about the file: its address has `/blob/` where `/resolve/` leads to the \
         file itself"
    } else if lower.contains("github.com") {
        "take the file's raw address (`raw.githubusercontent.com`, or the Download button)"
    } else {
        "open the address in a browser: a log-in, a confirmation or another address may be needed; \
         download with `curl -fL`, which fails instead of saving an error page"
    };
    report.add(Diagnosis::error("web-page", message).advice(advice));
}

/// JSON may be an index of shards, which is a checkpoint.
fn json(
    look: &Look<'_>,
    source: &Arc<dyn Source>,
    text: &str,
    report: &mut Report,
) -> Result<bool, Error> {
    report.what("json", "JSON text");
    if source.len() > MOST && !text.contains("\"weight_map\"") {
        report.add(Diagnosis::error("not-pytorch", "this is JSON text, not a checkpoint"));
        return Ok(true);
    }
    if source.len().saturating_mul(UNFOLDED) > look.options.limits.memory {
        let message =
            format!("this is JSON text of {}, too much to be looked at", human(source.len()));
        report.add(
            Diagnosis::error("over-limit", message).advice("raise --max-memory if you trust it"),
        );
        return Ok(true);
    }
    let whole = source.fetch(0, source.len())?;
    let Ok(value) = serde_json::from_slice::<Value>(&whole) else {
        let message = "this is text that begins like JSON, but is none: not a checkpoint";
        report.add(Diagnosis::error("not-pytorch", message));
        return Ok(true);
    };
    if value.get("weight_map").is_some_and(Value::is_object) {
        if let Some(path) = look.path {
            object::by_path(look, path, report)?;
        } else {
            report.what("index", "an index of shards");
            let message = "an index of shards names the files beside it: give its path";
            report.add(Diagnosis::error("index-without-folder", message));
        }
        return Ok(true);
    }
    let said = ["error", "message", "detail", "errorMessage", "msg", "Message"];
    let said = said.iter().find_map(|key| Some((key, value.get(*key)?)));
    if let Some((_, said)) = said {
        let said = said.as_str().map_or_else(|| said.to_string(), str::to_owned);
        report.what("json", "a server's error that was saved in place of the file");
        let message =
            format!("a server's error was saved in place of the file: {}", quoted(&short(&said)));
        report.add(Diagnosis::error("error-page", message).advice(
            "it may need a log-in or token, or another address; download with `curl -fL`, which \
             fails instead of saving the error",
        ));
        return Ok(true);
    }
    let (thing, advice) = if value.get("architectures").is_some()
        || value.get("model_type").is_some()
    {
        (
            "the configuration of a model (Hugging Face)",
            "its weights are in the `.safetensors` or `.bin` files beside it",
        )
    } else if value.get("model").is_some() && value.get("added_tokens").is_some() {
        ("a tokenizer", "the model's weights are in the `.safetensors` or `.bin` files beside it")
    } else {
        ("JSON text", "get the weights' file from where it came")
    };
    report.what("json", thing);
    report.add(
        Diagnosis::error("not-pytorch", format!("this is {thing}, not a checkpoint"))
            .advice(advice),
    );
    Ok(true)
}

/// What servers and Git say instead of a file.
const SAID: &[(&str, &str)] = &[
    ("entry not found", "the repository has no file of that name: look at its list of files"),
    ("not found", "the address is wrong, or the file is gone"),
    ("404", "the address is wrong, or the file is gone"),
    (
        "access to model",
        "log in with `hf auth login`, and accept the model's conditions on its page",
    ),
    ("invalid username or password", "log in with `hf auth login`, or give a token"),
    ("unauthorized", "a log-in or token is needed"),
    ("forbidden", "a log-in or token is needed"),
    ("access denied", "a log-in or token is needed"),
    ("too many requests", "wait and try again: the server limits downloads"),
    ("internal server error", "try again later"),
    ("bad gateway", "try again later"),
];

/// How programs in Python begin.
const PROGRAM: &[&str] = &["import ", "from ", "#!", "def ", "class ", "\"\"\"", "# -*-", "@"];

fn plain(text: &str, report: &mut Report) {
    let line = text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default().trim();
    let lower = line.to_ascii_lowercase();
    let known = SAID.iter().find(|(said, _)| text.len() < 4096 && lower.contains(said));
    if let Some((_, advice)) = known {
        report.what("text", "a server's answer that was saved in place of the file");
        let message =
            format!("a server's answer was saved in place of the file: {}", quoted(&short(line)));
        report.add(Diagnosis::error("error-page", message).advice(*advice));
        return;
    }
    let code =
        text.lines().take(50).any(|line| PROGRAM.iter().any(|start| line.starts_with(start)));
    let program =
        code && (text.contains("import ") || text.contains("def ") || line.contains("python"));
    if program {
        report.what("python", "a program in Python");
        let message = "this is a program in Python, not a checkpoint";
        report.add(Diagnosis::error("not-pytorch", message).advice(
            "it may build the model that the weights belong to: get the weights' file as well",
        ));
        return;
    }
    if line.starts_with("model_checkpoint_path:") {
        report.what("tf-checkpoint", "TensorFlow's note of its newest checkpoint");
        let message = "this is TensorFlow's note of its newest checkpoint, not a PyTorch file";
        report.add(
            Diagnosis::error("wrong-format", message)
                .advice("TensorFlow opens the `.index` and `.data-…` files that it names"),
        );
        return;
    }
    report.what("text", "a text file");
    let message =
        format!("this is a text file, not a checkpoint; it begins {}", quoted(&short(line)));
    report.add(
        Diagnosis::error("not-pytorch", message).advice("get the file again from where it came"),
    );
}
