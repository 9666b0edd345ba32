//! The page of `tree --html`: what is in it, and what a real browser makes of it.
#![cfg(feature = "cli")]
#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod common;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use common::cli::depickle;
use common::records;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// The page of a file.
fn page(file: &str, more: &[&str]) -> String {
    let output = depickle(&[&["tree", file, "--html", "-"], more].concat());
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{errors}");
    String::from_utf8(output.stdout).unwrap()
}

/// What stands between two texts of the page, each of which it has once.
fn between<'page>(page: &'page str, start: &str, end: &str) -> &'page str {
    let (_, rest) = page.split_once(start).unwrap();
    rest.split_once(end).unwrap().0
}

fn data(page: &str) -> Value {
    serde_json::from_str(between(page, "id=\"data\">", "</script>")).unwrap()
}

/// Names from the root, joined by dots.
fn path(data: &Value, module: usize) -> String {
    let (mut parts, mut at) = (Vec::new(), module);
    while let Some(parent) = data["modules"][at][0].as_u64() {
        parts.push(data["modules"][at][1].as_str().unwrap());
        at = usize::try_from(parent).unwrap();
    }
    parts.reverse();
    parts.join(".")
}

fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

/// A plain pickle of a module with children of these names and classes.
fn modules(children: &[(&str, &str)]) -> Vec<u8> {
    let text = |text: &str| {
        let len = u32::try_from(text.len()).unwrap();
        [b"X", &len.to_le_bytes()[..], text.as_bytes()].concat()
    };
    let module = |class: &str, within: Vec<u8>| {
        let part = |name: &str| [text(name), b"}".to_vec()].concat();
        let class = class.replace('\n', " ");
        let start = format!("c__main__\n{class}\n)\u{1}}}(").replace('\u{1}', "\x7f");
        let mut start = start.into_bytes();
        let at = start.iter().position(|&byte| byte == 0x7f).unwrap();
        start[at] = 0x81;
        let dicts = [part("_parameters"), part("_buffers"), part("_modules")].concat();
        [start, dicts, within, text("note"), text("<b>&amp;"), b"ub".to_vec()].concat()
    };
    let mut within = vec![b'('];
    for (name, class) in children {
        within.extend([text(name), module(class, vec![])].concat());
    }
    within.push(b'u');
    [b"\x80\x02".to_vec(), module("Net", within), b".".to_vec()].concat()
}

const HOSTILE: &[(&str, &str)] = &[
    ("</script><script>document.documentElement.dataset.owned=1</script>", "A"),
    ("<!--<script>", "B"),
    ("]]><img src=x onerror=document.documentElement.dataset.owned=1>", "C"),
    ("line\u{2028}and\u{2029}paragraph", "D"),
    ("right\u{202e}to left\u{0}\u{7}", "E"),
    (
        "\"'`${document.documentElement.dataset.owned=1}\\",
        "<svg onload=document.documentElement.dataset.owned=1>",
    ),
];

fn hostile_file(folder: &Path) -> String {
    let path = folder.join("hostile.pkl");
    std::fs::write(&path, modules(HOSTILE)).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn nothing_in_a_file_becomes_markup() {
    let page = page(&hostile_file(&folder("html_hostile")), &[]);
    let text = between(&page, "id=\"data\">", "</script>");
    for forbidden in ['<', '>', '&', '\u{2028}', '\u{2029}'] {
        assert!(!text.contains(forbidden), "{forbidden:?}");
    }
    assert_eq!(page.matches("<script").count(), 2);
    assert_eq!(page.matches("<!--").count(), 0);
    let data = data(&page);
    let names: Vec<&str> = data["modules"].as_array().unwrap()[1..]
        .iter()
        .map(|row| row[1].as_str().unwrap())
        .collect();
    assert_eq!(names, HOSTILE.iter().map(|(name, _)| *name).collect::<Vec<_>>());
    assert_eq!(data["modules"][0][9], json!([["note", "'<b>&amp;'"]]));
}

#[test]
fn the_page_needs_no_network_and_runs_one_script() {
    let page = page("resnet18_tiny.pth", &[]);
    for word in ["http:", "https:", "url(", "src=", "href=", "@import", "fetch(", "innerHTML"] {
        assert!(!page.contains(word), "{word}");
    }
    let script = page.rsplit_once("<script>").unwrap().1.split_once("</script>").unwrap().0;
    let style = between(&page, "<style>", "</style>");
    let hash = |text: &str| format!("'sha256-{}'", STANDARD.encode(Sha256::digest(text)));
    let want = format!(
        "default-src 'none'; script-src {}; style-src {}; base-uri 'none'; form-action 'none'",
        hash(script),
        hash(style)
    );
    assert_eq!(between(&page, "Content-Security-Policy\" content=\"", "\">"), want);
}

#[test]
fn every_tensor_is_in_the_page() {
    for record in records() {
        let file = record.json["file"].as_str().unwrap();
        let models = record.json["modules"].as_object().is_some_and(|it| !it.is_empty());
        if models || ["tensor", "object"].contains(&record.json["kind"].as_str().unwrap()) {
            continue;
        }
        let data = data(&page(file, &[]));
        let row = |row: &Value| {
            let module = path(&data, usize::try_from(row[0].as_u64().unwrap()).unwrap());
            let name = row[1].as_str().unwrap();
            let name = if module.is_empty() { name.to_owned() } else { format!("{module}.{name}") };
            let dtype = &data["dtypes"][usize::try_from(row[3].as_u64().unwrap()).unwrap()];
            (name, json!([dtype, row[4], row[5], row[8], row[9]]))
        };
        // Weight norm keeps the product of its parameters, of which no state dict knows.
        let rows = data["tensors"].as_array().unwrap().iter();
        let found = rows.filter(|row| row[2] != "held otherwise").map(row);
        let found: BTreeMap<String, Value> = found.collect();
        let want = |part: &str| {
            let tensor = |it: &Value| {
                let facts = ["dtype", "shape", "nbytes", "stride", "storage_offset"];
                let facts = facts.map(|key| it[key].clone());
                (it["name"].as_str().unwrap().to_owned(), Value::from(facts.to_vec()))
            };
            record.json[part].as_array().unwrap().iter().map(tensor).collect::<Vec<_>>()
        };
        // What a shared module holds stands once, under the module's first name.
        let shared = data["modules"].as_array().unwrap().iter().enumerate();
        let shared: Vec<String> = shared
            .filter(|(_, row)| row[5].as_i64() != Some(-1))
            .map(|(at, _)| format!("{}.", path(&data, at)))
            .collect();
        let mut wanted: BTreeMap<String, Value> =
            [want("tensors"), want("extra_tensors")].concat().into_iter().collect();
        wanted.retain(|name, _| !shared.iter().any(|prefix| name.starts_with(prefix)));
        assert_eq!(found, wanted, "{file}");
    }
}

#[test]
fn tied_tensors_count_once() {
    let data = data(&page("tied.pth", &[]));
    let row = |name: &str| {
        let rows = data["modules"].as_array().unwrap();
        rows.iter().find(|row| row[1] == name).unwrap().clone()
    };
    assert_eq!(row("")[6], 47);
    assert_eq!(row("head")[6], 28);
    assert_eq!(row("again")[5], 2, "the row of `inner`");
    let same = data["tensors"].as_array().unwrap().iter().filter(|row| row[12] != -1);
    assert_eq!(same.count(), 1);
}

#[test]
fn a_page_is_replaced_only_when_asked() {
    let folder = folder("html_files");
    let out = folder.join("page.html");
    let out = out.to_str().unwrap();
    let first = depickle(&["tree", "tied.pth", "--html", out]);
    assert!(first.status.success() && first.stdout.is_empty());
    let whole = std::fs::read_to_string(out).unwrap();
    assert!(whole.ends_with("</html>\n"));
    let second = depickle(&["tree", "mlp_model.pth", "--html", out]);
    assert_eq!(second.status.code(), Some(2));
    let said = String::from_utf8(second.stderr).unwrap();
    assert_eq!(said, format!("error: {out} exists already; --force replaces it\n"));
    assert_eq!(std::fs::read_to_string(out).unwrap(), whole);
    let third = depickle(&["tree", "mlp_model.pth", "--html", out, "--force"]);
    assert!(third.status.success());
    assert_ne!(std::fs::read_to_string(out).unwrap(), whole);
    let left: Vec<_> = std::fs::read_dir(&folder).unwrap().collect();
    assert_eq!(left.len(), 1, "nothing unfinished is left");
    let nowhere = folder.join("no/such/page.html");
    let failed = depickle(&["tree", "tied.pth", "--html", nowhere.to_str().unwrap()]);
    assert_eq!(failed.status.code(), Some(2));
}

/// The document after a browser's script has run, for a page with this fragment; none where no
/// Chromium is installed.
fn drawn(page: &str, name: &str, fragment: &str) -> Option<String> {
    let folder = folder(name);
    let file = folder.join("page.html");
    std::fs::write(&file, page).unwrap();
    let profile = format!("--user-data-dir={}", folder.join("profile").display());
    let flags = "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run \
        --disable-background-networking --disable-component-update --disable-sync \
        --window-size=1300,850 --virtual-time-budget=4000 --dump-dom";
    for browser in ["chromium", "chromium-browser", "google-chrome"] {
        let mut command = Command::new(browser);
        let url = format!("file://{}#{fragment}", file.display());
        command.args(flags.split_whitespace()).arg(&profile).arg(url);
        if let Ok(output) = command.output() {
            return Some(String::from_utf8(output.stdout).unwrap());
        }
    }
    println!("skipped: no Chromium here");
    None
}

/// The text of an element, tags taken out.
fn text_of(document: &str, start: &str, end: &str) -> String {
    let mut text = String::new();
    let mut inside = false;
    for char in between(document, start, end).chars() {
        match char {
            '<' => inside = true,
            '>' => inside = false,
            _ if !inside => text.push(char),
            _ => {}
        }
    }
    text
}

#[test]
fn a_browser_draws_the_tree_the_map_and_the_details() {
    let page = page("resnet18_tiny.pth", &[]);
    let select = "theme=dark&select=layer1.0.conv1.weight";
    let Some(document) = drawn(&page, "html_drawn", select) else { return };
    assert!(document.contains("data-drawn=\"yes\"") && document.contains("data-theme=\"dark\""));
    let tree = text_of(&document, "id=\"rows\"", "</section>");
    assert!(tree.contains("layer1") && tree.contains("float32 [8, 8, 3, 3]"), "{tree}");
    let details = text_of(&document, "id=\"details\"", "</article>");
    for fact in ["layer1.0.conv1.weight", "[8, 8, 3, 3]", "576", "2.3 KiB (2,304)", "parameter"] {
        assert!(details.contains(fact), "{fact}: {details}");
    }
    assert!(document.matches("class=\"cell").count() >= 1);
    let Some(document) = drawn(&page, "html_searched", "q=downsample.0") else { return };

    assert!(document.contains(">6 matches<"), "three modules and their weights");
    assert_eq!(document.matches("class=\"row tensor match\"").count(), 3);
    assert!(document.matches("class=\"cell").count() > 30);
}

#[test]
fn a_browser_takes_names_for_text_only() {
    let file = hostile_file(&folder("html_hostile_drawn"));
    let Some(document) = drawn(&page(&file, &[]), "html_hostile_page", "") else { return };
    assert!(document.contains("data-drawn=\"yes\""));
    assert!(!document.contains("data-owned"));
    assert!(document.contains("&lt;/script&gt;&lt;script&gt;document"));
    assert!(document.contains("right\\u{202e}to left\\u{0}\\u{7}"));
}

#[test]
fn thousands_of_modules_are_drawn_as_far_as_they_are_seen() {
    let folder = folder("html_many");
    let names: Vec<String> = (0..30_000).map(|index| format!("layer{index}")).collect();
    let children: Vec<(&str, &str)> = names.iter().map(|name| (&**name, "Block")).collect();
    let file = folder.join("many.pkl");
    std::fs::write(&file, modules(&children)).unwrap();
    let page = page(file.to_str().unwrap(), &[]);
    assert_eq!(data(&page)["modules"].as_array().unwrap().len(), 30_001);
    let Some(document) = drawn(&page, "html_many_page", "select=layer29999") else { return };
    assert!(document.contains("data-drawn=\"yes\""));
    let rows = document.matches("role=\"treeitem\"").count();
    assert!((10..200).contains(&rows), "{rows}");
    assert!(text_of(&document, "id=\"rows\"", "</section>").contains("layer29999"));
}

#[test]
fn several_models_stand_side_by_side() {
    let model = &modules(&[("fc", "Leaf")])[2..];
    let model = &model[..model.len() - 1];
    let stream = [b"\x80\x02}(X\x05\0\0\0model", model, b"X\x03\0\0\0ema", model, b"u."].concat();
    let path = folder("html_several").join("two.pkl");
    std::fs::write(&path, stream).unwrap();
    let file = path.to_str().unwrap();
    let data = data(&page(file, &[]));
    let names: Vec<_> =
        data["modules"].as_array().unwrap().iter().map(|row| row[1].as_str().unwrap()).collect();
    assert_eq!(names, ["", "model", "fc", "ema", "fc"]);
    let output = depickle(&["tree", file]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(text, "(model): Net(\n  (fc): Leaf()\n)\n(ema): Net(\n  (fc): Leaf()\n)\n");
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.starts_with("note: 2 models are shown"), "{said}");
    let one = depickle(&["tree", file, "--key", "ema"]);
    assert_eq!(String::from_utf8(one.stdout).unwrap(), "Net(\n  (fc): Leaf()\n)\n");
    let json = depickle(&["tree", file, "--json"]);
    let json: Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(json["root"], Value::Null);
    assert_eq!(json["models"][1]["name"], "ema");
}

/// Modules that share one state of many attributes, which each would show anew.
fn refused(folder_name: &str, flags: &[&[&str]]) {
    const MANY: usize = 30_000;
    let text = |text: &str| format!("V{text}\n").into_bytes();
    let dicts = b"V_parameters\n}V_buffers\n}V_modules\n}".to_vec();
    let mut stream = [b"\x80\x02(".to_vec(), dicts].concat();
    for index in 0..MANY {
        stream.extend([text(&format!("a{index}")), b"N".to_vec()].concat());
    }
    // The state goes to memo 1, the class to memo 2.
    stream.extend(
        b"dq\x010c__main__\nNet\nq\x020h\x02)\x81}(V_parameters\n}V_buffers\n}V_modules\n}(",
    );
    for index in 0..MANY {
        stream.extend([text(&index.to_string()), b"h\x02)\x81h\x01b".to_vec()].concat());
    }
    stream.extend(b"uub.");
    let path = folder(folder_name).join("shared.pkl");
    std::fs::write(&path, stream).unwrap();
    let file = path.to_str().unwrap();
    for flags in flags {
        let output = depickle(&[&["tree", file], *flags].concat());
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{flags:?}: {said}");
        assert!(said.contains("over the limit"), "{flags:?}: {said}");
    }
}

/// The work until a limit is reached takes seconds: two tests go on side by side.
#[test]
fn what_many_modules_share_is_not_printed_without_end() {
    refused("html_shared", &[&["--attrs"], &["--params"], &["--json"]]);
}

#[test]
fn what_many_modules_share_is_not_drawn_without_end() {
    refused("html_shared_page", &[&["--html", "-"]]);
}
