//! Verdicts: one case per technique, in assembler text or made here; honest files; files cut
//! anywhere.
//!
//! A file `tests/scan/*.pkla` holds cases, each begun by a line `;; name`. Its line
//! `; scan VERDICT RULE…` says what the verdict must be and which rules must be among those that
//! found something.
#![cfg(feature = "scan")]
#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

use std::collections::BTreeSet;
use std::fs;
use std::io::{Cursor, Write};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use depickle::pickle::{assemble, run};
use depickle::python::policy;
use depickle::scan::{RULES, Report, Scanner, Verdict, rules};
use depickle::{Budget, Category, FileOffset, Limits};

const HOSTILE: &[u8] = b"cos\nsystem\n(S'id'\ntR.";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

struct Case {
    name: String,
    bytes: Vec<u8>,
    verdict: String,
    rules: Vec<String>,
}

fn cases() -> Vec<Case> {
    let mut paths: Vec<PathBuf> = fs::read_dir(root().join("tests/scan"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    let mut cases = Vec::new();
    for path in paths {
        let text = fs::read_to_string(&path).unwrap();
        for case in text.split("\n;; ").skip(1) {
            let name = case.lines().next().unwrap().to_owned();
            let told = case.lines().find_map(|line| line.strip_prefix("; scan ")).expect(&name);
            let mut words = told.split(' ').map(str::to_owned);
            let bytes =
                assemble(&format!(";; {case}")).unwrap_or_else(|why| panic!("{name}: {why}"));
            let verdict = words.next().unwrap();
            cases.push(Case { name, bytes, verdict, rules: words.collect() });
        }
    }
    cases
}

fn scan(bytes: &[u8]) -> Report {
    Scanner::new().scan_bytes(bytes.to_vec())
}

fn found(report: &Report) -> BTreeSet<&'static str> {
    report.findings.iter().map(|finding| finding.rule.id).collect()
}

#[test]
fn every_technique_is_found_by_its_rule() {
    let cases = cases();
    let mut wrong = Vec::new();
    for Case { name, bytes, verdict, rules } in &cases {
        let report = scan(bytes);
        let found = found(&report);
        let all = rules.iter().all(|rule| found.contains(&**rule));
        if report.verdict.name() != verdict || !all {
            wrong.push(format!("{name}: {verdict} {rules:?}, not {} {found:?}", report.verdict));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(cases.len() > 90, "{}", cases.len());
}

/// Rules about what a pickle would call, which a policy can refuse.
const REFUSED: &[&str] = &[
    "forbidden-call",
    "forbidden-global",
    "forbidden-attribute",
    "computed-call",
    "method-call",
    "makes-class",
    "unseen-pickle",
];

#[test]
fn what_loading_refuses_is_dangerous_and_the_other_way_round() {
    for Case { name, bytes, .. } in cases() {
        // Only of one pickle: what lies in bytes of it is opened later.
        let mut budget = Budget::default();
        let inspected = run(
            bytes.clone().into(),
            FileOffset(0),
            &depickle::pickle::Policy::inspect(),
            &mut budget,
        );
        let judged = Scanner::new().judge(&inspected);
        let outcome = run(bytes.into(), FileOffset(0), policy::models(), &mut budget);
        let refused = outcome.end.as_ref().is_err_and(|why| why.category() == Category::Forbidden);
        let rules = found(&judged);
        let dangerous = rules.iter().any(|rule| REFUSED.contains(rule));
        if refused {
            assert_eq!(judged.verdict, Verdict::Dangerous, "{name}: {:?}", outcome.end);
        }
        if dangerous {
            assert!(refused, "{name}: {rules:?}, and yet {:?}", outcome.end);
        }
    }
}

#[test]
fn every_rule_has_a_case_or_is_about_files() {
    let told: BTreeSet<String> = cases().into_iter().flat_map(|case| case.rules).collect();
    let elsewhere = [
        "container-ambiguous",
        "polyglot",
        "unread",
        "outside-object",
        "package-code",
        "container-odd",
        "checksum",
        "format-not-judged",
        "more-findings",
        "code-text",
    ];
    for rule in RULES {
        assert!(told.contains(rule.id) || elsewhere.contains(&rule.id), "{}", rule.id);
    }
}

#[test]
fn rules_are_documented() {
    let path = root().join("docs/rules.md");
    let text = rules::markdown();
    if std::env::var_os("BLESS").is_some() {
        fs::write(&path, &text).unwrap();
    }
    let written = fs::read_to_string(&path).unwrap();
    assert!(written == text, "docs/rules.md is out of date: BLESS=1 writes it");
    let ids: BTreeSet<&str> = RULES.iter().map(|rule| rule.id).collect();
    assert_eq!(ids.len(), RULES.len());
}

#[test]
fn findings_say_what_python_would_have_done() {
    let report = scan(b"\x80\x02cos\nsystem\nX\x02\x00\x00\x00id\x85R.");
    let finding = &report.findings[0];
    assert_eq!(finding.global.as_deref(), Some("os.system"));
    assert_eq!(finding.position.unwrap().name(), "call");
    assert_eq!(finding.place.offset, Some(FileOffset(2)));
    assert_eq!(finding.line.as_deref(), Some("os.system(\"id\")"));
    assert!(finding.message.contains("os.system"), "{}", finding.message);
    let chain = b"cbuiltins\ngetattr\n(cm\nf\nS'__globals__'\ntR.";
    let report = scan(chain);
    let lines: Vec<_> = report.findings.iter().filter_map(|found| found.line.clone()).collect();
    assert!(lines.iter().all(|line| line.chars().count() <= 241), "{lines:?}");
}

#[test]
fn an_organisation_adds_its_own() {
    let stream = b"\x80\x02cmy.models\nNet\n)\x81.";
    assert_eq!(scan(stream).verdict, Verdict::Unknown);
    let allowing = Scanner::new().allow("my.models.*");
    assert_eq!(allowing.scan_bytes(&stream[..]).verdict, Verdict::Clean);
    let forbidding = Scanner::new().forbid("my.*");
    assert_eq!(forbidding.scan_bytes(&stream[..]).verdict, Verdict::Dangerous);
    let known = Scanner::new().extension(7, "os", "system");
    assert_eq!(known.scan_bytes(&b"\x80\x02\x82\x07)R."[..]).verdict, Verdict::Dangerous);
}

#[test]
fn what_stands_behind_a_long_operand_is_not_skipped() {
    let long = |opcode: u8, len: u32| {
        [&[opcode][..], &len.to_le_bytes(), &vec![b'1'; len as usize], b"0"].concat()
    };
    let line = |opcode: u8, quote: &[u8], len: usize| {
        [&[opcode], quote, &vec![b'm'; len], quote, b"\n0"].concat()
    };
    // No pickler writes PROTO before these; Python reads on behind them.
    let read = [
        long(b'X', 70_000),
        long(b'B', 3 << 20),
        long(b'T', 3 << 20),
        line(b'S', b"'", 70_000),
        line(b'V', b"", 3 << 20),
        [&b"I"[..], &vec![b' '; 70_000], b"1\n0"].concat(),
    ];
    for before in read {
        let report = scan(&[&before[..], HOSTILE].concat());
        assert_eq!(report.verdict, Verdict::Dangerous, "{:?}", before[0] as char);
        // An operand that ends where nothing is an operation.
        let noise = scan(&[&before[..], &[0xff; 9]].concat());
        assert_eq!(noise.verdict, Verdict::Skipped, "{:?}: {noise:?}", before[0] as char);
    }
    // Numbers over the limit: what follows cannot be judged.
    for number in [long(0x8b, 1 << 20), long(0x8b, (1 << 20) + 1), long(0x8b, 2 << 20)] {
        let report = scan(&[&number[..], HOSTILE].concat());
        assert!(matches!(report.verdict, Verdict::Error | Verdict::Dangerous), "{report:?}");
    }
}

#[test]
fn a_chain_too_long_to_follow_is_what_nobody_can_know() {
    // A method that BUILD calls: partials of partials of a whitelisted function.
    let chain = |depth: usize| {
        let mut text = "GLOBAL torch.nn.modules.module Module\nEMPTY_TUPLE\nNEWOBJ\nEMPTY_DICT\n\
                        BINUNICODE \"__setstate__\"\n"
            .to_owned();
        text += &"GLOBAL functools partial\n".repeat(depth);
        text += "GLOBAL builtins len\n";
        text += &"TUPLE1\nREDUCE\n".repeat(depth);
        text += "SETITEM\nBUILD\nEMPTY_DICT\nBUILD\nSTOP\n";
        scan(&assemble(&text).unwrap())
    };
    assert!(!found(&chain(2)).contains("computed-call"), "{:?}", chain(2));
    assert!(found(&chain(40)).contains("computed-call"), "{:?}", chain(40));
}

// Archives.

fn zip(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let options =
        zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    for (name, bytes) in members {
        writer.start_file(*name, options).unwrap();
        writer.write_all(bytes).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

const BENIGN: &[u8] = b"\x80\x02}X\x01\x00\x00\x00aK\x01s.";

fn replace(bytes: &mut [u8], old: &[u8], new: &[u8]) {
    let places: Vec<usize> =
        (0..=bytes.len() - old.len()).filter(|&at| bytes[at..].starts_with(old)).collect();
    assert!(!places.is_empty());
    for at in places {
        bytes[at..at + new.len()].copy_from_slice(new);
    }
}

#[test]
fn archives_that_readers_read_differently_are_dangerous() {
    let plain = zip(&[("a/data.pkl", BENIGN), ("a/dato.pkl", BENIGN)]);
    assert_eq!(scan(&plain).verdict, Verdict::Clean);
    let mut duplicate = plain.clone();
    replace(&mut duplicate, b"a/dato.pkl", b"a/data.pkl");
    let mut flagged = plain.clone();
    flagged[6] |= 1;
    let mut renamed = plain.clone();
    renamed[30] = b'b';
    for (what, bytes) in [("duplicate", duplicate), ("flag", flagged), ("name", renamed)] {
        let report = scan(&bytes);
        assert_eq!(report.verdict, Verdict::Dangerous, "{what}");
        assert!(found(&report).contains("container-ambiguous"), "{what}: {:?}", report.findings);
    }
}

#[test]
fn what_is_encrypted_is_unread_and_what_is_only_said_to_be_is_dangerous() {
    for name in ["sealed_stored.zip.bin", "sealed_deflated.zip.bin"] {
        let report = Scanner::new().scan_path(&root().join("tests/fixtures/scan").join(name));
        assert_eq!(report.verdict, Verdict::Error, "{name}: {:?}", report.findings);
        assert_eq!(found(&report), BTreeSet::from(["unread"]), "{name}");
        assert!(report.findings[0].message.contains("encrypted"), "{name}");
    }
    let honest = fs::read(root().join("tests/fixtures/scan/hostile_deflated.zip.bin")).unwrap();
    for mut lying in [zip(&[("a/data.pkl", BENIGN)]), honest] {
        let entry = lying.windows(4).position(|four| four == b"PK\x01\x02").unwrap();
        lying[6] |= 1;
        lying[entry + 8] |= 1;
        let report = scan(&lying);
        assert_eq!(report.verdict, Verdict::Dangerous);
        assert!(found(&report).contains("container-ambiguous"), "{:?}", report.findings);
        assert_eq!(report.pickles, 1, "what stands there is judged");
    }
}

#[test]
fn members_are_judged_by_content_under_any_name() {
    for name in ["a/data.pkl", "a/data/0", "a/readme.txt", "x", "a/code/net.py", "a/.hidden"] {
        let report = scan(&zip(&[("a/version", b"3\n"), (name, HOSTILE)]));
        assert_eq!(report.verdict, Verdict::Dangerous, "{name}");
        assert_eq!(report.findings[0].place.member.as_deref(), Some(name));
    }
}

#[test]
fn offsets_count_from_the_files_beginning() {
    let bytes = zip(&[("a/data.pkl", HOSTILE)]);
    let at = bytes.windows(HOSTILE.len()).position(|window| window == HOSTILE).unwrap();
    assert_eq!(scan(&bytes).findings[0].place.offset, Some(FileOffset(at as u64)));
}

#[test]
fn what_surrounds_an_archive_is_a_finding() {
    let plain = zip(&[("a/data.pkl", BENIGN)]);
    let behind = scan(&[&plain[..], b"\0\0\0\0junk"].concat());
    assert_eq!(behind.verdict, Verdict::Unknown);
    let before = scan(&[HOSTILE, &plain].concat());
    assert_eq!(before.verdict, Verdict::Dangerous);
    assert!(found(&before).contains("polyglot"), "{:?}", found(&before));
    let harmless = scan(&[BENIGN, &plain].concat());
    assert_eq!(harmless.verdict, Verdict::Dangerous, "two formats at once");
    let hidden = scan(&[&plain[..], HOSTILE].concat());
    assert_eq!(hidden.verdict, Verdict::Dangerous);
}

#[test]
fn a_wrong_checksum_of_a_pickle_is_not_clean() {
    let mut bytes = zip(&[("a/data.pkl", BENIGN)]);
    let at = bytes.windows(BENIGN.len()).position(|window| window == BENIGN).unwrap();
    bytes[at + BENIGN.len() - 3] = 2;
    let report = scan(&bytes);
    assert_eq!(report.verdict, Verdict::Unknown);
    assert!(found(&report).contains("checksum"));
}

#[test]
fn a_cut_archive_is_an_error_and_its_first_pickle_judged() {
    let bytes = zip(&[("a/data.pkl", HOSTILE), ("a/version", b"3\n")]);
    assert_eq!(scan(&bytes[..bytes.len() - 40]).verdict, Verdict::Dangerous);
    let bytes = zip(&[("a/data.pkl", BENIGN), ("a/version", b"3\n")]);
    assert_eq!(scan(&bytes[..bytes.len() - 40]).verdict, Verdict::Error);
}

#[test]
fn tensors_data_are_no_pickles() {
    let noise: Vec<u8> =
        (0..100_000_u32).flat_map(|n| (n.wrapping_mul(2_654_435_761)).to_le_bytes()).collect();
    for start in
        [&b"\x80\x02"[..], b"(", b"c", b"\x80\x04\x95", b"N.", b"}", b"\x1f\x8b\x08", b"x\x9c"]
    {
        let data = [start, &noise].concat();
        let report = scan(&zip(&[("a/data.pkl", BENIGN), ("a/data/0", &data)]));
        assert_eq!(report.verdict, Verdict::Clean, "{start:?}: {:?}", report.findings);
    }
}

#[test]
fn other_formats_are_skipped_or_said_to_be_unread() {
    let skipped: &[&[u8]] = &[
        b"GGUF\x03\0\0\0rest",
        b"\x89PNG\r\n\x1a\nrest",
        b"Just some text, as READMEs are.\n",
        b"{\"a\": 1}\n",
        b"\x02\0\0\0\0\0\0\0{}",
        b"",
        b"\0\x01\x02\x03random bytes\xff\xfe",
    ];
    for bytes in skipped {
        let report = scan(bytes);
        assert_eq!(report.verdict, Verdict::Skipped, "{bytes:?}: {:?}", report.findings);
        assert!(!report.complete);
    }
    assert_eq!(scan(b"7z\xbc\xaf\x27\x1c\0\x04rest").verdict, Verdict::Error);
    assert_eq!(scan(b"Rar!\x1a\x07\x01\0").verdict, Verdict::Error);
    assert_eq!(scan(b"\x89HDF\r\n\x1a\nrest").verdict, Verdict::Unknown);
}

// Files.

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut all: Vec<PathBuf> =
        entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect();
    all.sort();
    all
}

fn honest() -> Vec<PathBuf> {
    let all = files(&root().join("tests/fixtures"));
    let apart = |path: &PathBuf| {
        let path = path.to_string_lossy();
        path.contains("hostile") || path.contains("sealed")
    };
    all.into_iter().filter(|path| !apart(path)).collect()
}

#[test]
fn honest_files_are_never_dangerous() {
    let scanner = Scanner::new();
    let mut wrong = Vec::new();
    let mut clean = 0;
    for path in honest() {
        let report = scanner.scan_path(&path);
        clean += usize::from(report.verdict == Verdict::Clean);
        if matches!(report.verdict, Verdict::Dangerous | Verdict::Error) {
            wrong.push(format!("{}: {} {:#?}", path.display(), report.verdict, report.findings));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(clean > 20, "{clean}");
}

#[test]
fn hostile_files_are_dangerous_however_they_are_packed() {
    let all = files(&root().join("tests/fixtures/scan"));
    let hostile: Vec<_> = all
        .iter()
        .filter(|path| path.file_name().unwrap().to_string_lossy().starts_with("hostile"))
        .collect();
    assert!(hostile.len() >= 15);
    for path in hostile {
        let report = Scanner::new().scan_path(path);
        assert_eq!(report.verdict, Verdict::Dangerous, "{}: {:?}", path.display(), report.findings);
    }
}

#[test]
fn no_file_that_is_cut_is_clean() {
    let scanner = Scanner::new();
    let mut wrong = Vec::new();
    let all = files(&root().join("tests/fixtures"));
    for path in all.iter().filter(|path| fs::metadata(path).unwrap().len() < 40_000) {
        let bytes = Bytes::from(fs::read(path).unwrap());
        let whole = scanner.scan_bytes(bytes.clone());
        if whole.verdict == Verdict::Skipped {
            continue;
        }
        let step = (bytes.len() / 24).max(1);
        for end in (1..bytes.len()).step_by(step).chain([bytes.len() - 1]) {
            let report = scanner.scan_bytes(bytes.slice(..end));
            // Several pickles in a row may end early and be whole; so may text.
            let rest = scanner.scan_bytes(bytes.slice(end..));
            let whole_pickles = whole.pickles > 1 && report.pickles >= 1 && rest.pickles >= 1;
            // Of a tar archive the last blocks hold nothing.
            let nothing_lost = bytes[end..].iter().all(|&byte| byte == 0);
            if report.verdict == Verdict::Clean && !whole_pickles && !nothing_lost {
                wrong.push(format!("{} cut at {end} of {}", path.display(), bytes.len()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn cases_that_are_cut_are_never_clean() {
    for Case { name, bytes, verdict, .. } in cases() {
        for end in 1..bytes.len() {
            let report = scan(&bytes[..end]);
            let pickles = report.pickles > 0;
            let clean = report.verdict == Verdict::Clean && verdict != "clean";
            // What ends at a STOP is whole.
            assert!(!clean || bytes[end - 1] == b'.' && pickles, "{name} cut at {end}");
        }
    }
}

#[test]
fn hostile_shapes_stay_in_their_budget() {
    const DEEP: usize = 200_000;
    let nested = |open: &[u8], core: &[u8], close: &[u8]| {
        [&open.repeat(DEEP)[..], core, &close.repeat(DEEP), b"."].concat()
    };
    let shapes = vec![
        nested(b"", b"N", b"\x85"),
        nested(b"](", b"N", b"e"),
        nested(b"cm\nf\n", b")", b"R\x85"),
        nested(b"cfunctools\npartial\n", b"cm\nf\n", b"\x85R"),
        [&b"cm\nf\n"[..], &b"p0\n0cbuiltins\ngetattr\ng0\nS'x'\n\x86R".repeat(DEEP / 4), b"."]
            .concat(),
        b"cos\nsystem\n)R".repeat(DEEP / 8),
        b"N.".repeat(DEEP),
    ];
    let work = move || {
        for shape in shapes {
            let limits = Limits::default().with_memory(256 << 20);
            let report = Scanner::new().limits(limits).scan_bytes(shape);
            assert!(report.findings.len() <= 1_001);
        }
    };
    std::thread::Builder::new().stack_size(512 << 10).spawn(work).unwrap().join().unwrap();
}

#[test]
fn what_unfolds_beyond_the_budget_is_an_error() {
    let zeros = vec![0; 8 << 20];
    let mut bomb = HOSTILE.to_vec();
    bomb.truncate(3);
    bomb.splice(0..0, b"\x80\x04B\0\0\x80\0".iter().copied());
    bomb.extend_from_slice(&zeros);
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default();
    writer.start_file("a/data.pkl", options).unwrap();
    writer.write_all(&bomb).unwrap();
    let bytes = writer.finish().unwrap().into_inner();
    let limits = Limits::default().with_memory(1 << 20);
    let report = Scanner::new().limits(limits).scan_bytes(bytes);
    assert_eq!(report.verdict, Verdict::Error, "{:?}", report.findings);
    assert!(found(&report).contains("unread"));
}
