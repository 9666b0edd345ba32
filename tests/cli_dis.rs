//! `dis`, `asm`, several pickles in one file, and extension codes, as a user calls them.
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

use std::io::Write;
use std::path::PathBuf;

use common::{cli, fixture, records};
use depickle::Budget;
use depickle::container::Zip;
use depickle::pickle::{Ops, assemble};
use serde_json::{Value, json};

/// Exit code, standard output and standard error.
fn said(arguments: &[&str], input: &[u8]) -> (i32, String, String) {
    cli::said(&cli::fed(arguments, input))
}

fn dis_json(arguments: &[&str], input: &[u8]) -> Vec<Value> {
    let arguments = [&["dis", "--jsonl"], arguments].concat();
    let (_, out, _) = said(&arguments, input);
    out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn scratch(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("depickle-dis-{}-{name}", std::process::id()))
}

/// A zip archive of stored and deflated members.
fn archive(members: &[(&str, &[u8], bool)]) -> Vec<u8> {
    archive_behind(b"", members)
}

fn archive_behind(prefix: &[u8], members: &[(&str, &[u8], bool)]) -> Vec<u8> {
    use zip::{CompressionMethod, ZipWriter, write::SimpleFileOptions};
    let mut zip = ZipWriter::new({
        let mut file = std::io::Cursor::new(prefix.to_vec());
        file.set_position(prefix.len() as u64);
        file
    });
    for (name, bytes, deflate) in members {
        let method = if *deflate { CompressionMethod::Deflated } else { CompressionMethod::Stored };
        zip.start_file(*name, SimpleFileOptions::default().compression_method(method)).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

const SYSTEM: &[u8] = b"cos\nsystem\n(S'id'\ntR.";

#[test]
fn a_listing_marks_what_is_called() {
    let (code, out, err) =
        said(&["dis", "-"], b"\x80\x02cos\nsystem\nq\x00cmy.lib\nf\n(X\x02\0\0\0idh\x00tR.");
    assert_eq!((code, &*err), (0, ""));
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!(lines[0], "pickle 0 at byte 0 (0x0)");
    let want = "       2: 63 GLOBAL os system                         ; stack 1, global os.system (FORBIDDEN)";
    assert_eq!(lines[2], want);
    assert!(lines[3].ends_with("; stack 1, memo 0 = global os.system"), "{out}");
    assert!(lines[4].ends_with("; stack 2, global my.lib.f (off the whitelist)"), "{out}");
    assert!(lines[7].contains("  BINGET 0 ") && lines[7].ends_with("global os.system (FORBIDDEN)"));
    assert!(lines[9].ends_with("; stack 2, calls my.lib.f (off the whitelist)"), "{out}");
    let coloured = said(&["dis", "--color", "always", "-"], SYSTEM).1;
    assert!(coloured.contains("\x1b[1m\x1b[31mos.system (FORBIDDEN)"), "{coloured:?}");
}

#[test]
fn records_have_the_fields_of_the_contract_in_order() {
    let stream = b"\x80\x04\x8c\x02os\x8c\x06system\x93\x94h\x00)R]K\x01aG\x7f\xf0\0\0\0\0\0\0.";
    let records = dis_json(&["-"], stream);
    let text = said(&["dis", "--jsonl", "-"], stream).1;
    let fields = [
        "member", "stream", "offset", "opcode", "operand", "stack", "marks", "memo", "global",
        "error",
    ];
    for (record, line) in records.iter().zip(text.lines()) {
        let keys: Vec<&String> = record.as_object().unwrap().keys().collect();
        assert_eq!(keys.len(), fields.len());
        let places = fields.map(|field| line.find(&format!("\"{field}\":")).unwrap());
        assert!(places.is_sorted(), "{line}");
    }
    assert_eq!(records.len(), 13);
    let global = json!({ "name": "os.system", "position": "value", "verdict": "forbidden" });
    assert_eq!(records[1]["operand"], "os");
    assert_eq!((&records[3]["opcode"], &records[3]["global"]), (&json!("STACK_GLOBAL"), &global));
    assert_eq!(records[3]["stack"], json!([2, 1]));
    assert_eq!(records[4]["memo"], json!({ "put": 0, "value": "global os.system" }));
    assert_eq!(records[5]["memo"], json!({ "get": 0, "value": "global os.system" }));
    assert_eq!(records[7]["global"]["position"], "call");
    assert_eq!(records[9]["operand"], 1);
    assert_eq!(records[11]["operand"], json!({ "$float": "inf" }));
    let document: Value = serde_json::from_str(&said(&["dis", "--json", "-"], stream).1).unwrap();
    assert_eq!(document["path"], "-");
    assert_eq!(document["records"].as_array().unwrap(), &records);
}

#[test]
fn what_a_call_returned_is_told_when_it_is_called() {
    let stream = b"cbuiltins\ngetattr\n(cos\npath\nS'join'\ntR)R.";
    let records = dis_json(&["-"], stream);
    let positions: Vec<&Value> = records
        .iter()
        .map(|record| &record["global"]["position"])
        .filter(|at| at.is_string())
        .collect();
    assert_eq!(positions, ["value", "value", "call", "computed"]);
}

#[test]
fn every_operation_of_every_fixture_is_told() {
    for record in records() {
        let file = record.path.to_str().unwrap();
        let records = dis_json(&[file], b"");
        let bytes = std::fs::read(&record.path).unwrap();
        let mut count = 0;
        for (index, told) in records.iter().enumerate() {
            assert_eq!(told["error"], Value::Null, "{file}");
            let Some(opcode) = told["opcode"].as_str() else {
                assert_eq!((&told["what"], index), (&json!("storages"), records.len() - 1));
                continue;
            };
            let at = usize::try_from(told["offset"].as_u64().unwrap()).unwrap();
            let (_, op) = Ops::new(&bytes[at..]).next().unwrap().unwrap();
            assert_eq!(op.opcode().name(), opcode, "{file} at {at}: offsets are the file's");
            count += 1;
        }
        assert!(count > 20, "{file}");
        let streams = records.iter().filter(|told| told["opcode"] == "STOP").count();
        assert_eq!(streams, if file.contains("legacy_") { 5 } else { 1 }, "{file}");
        let forbidden = |told: &&Value| told["global"]["verdict"] == "forbidden";
        assert_eq!(records.iter().find(forbidden), None, "{file}");
    }
}

#[test]
fn assembly_gives_the_same_bytes() {
    let member = |bytes: &[u8]| {
        let (bytes, mut budget) = (bytes::Bytes::copy_from_slice(bytes), Budget::default());
        let zip = Zip::open(&bytes, &mut budget).unwrap();
        let member = zip.members().find(|member| member.name().ends_with("/data.pkl")).unwrap();
        zip.read(&bytes, member, &mut budget).unwrap()
    };
    for record in records() {
        let bytes = std::fs::read(&record.path).unwrap();
        let (code, text, err) = said(&["dis", "--asm", record.path.to_str().unwrap()], b"");
        assert_eq!((code, &*err), (0, ""));
        let back = assemble(&text).unwrap();
        if bytes.starts_with(b"PK") {
            assert_eq!(back, member(&bytes), "{}", record.name);
        } else {
            assert!(bytes.starts_with(&back) && back.len() > 200, "{}", record.name);
        }
    }
    let odd = [b"N.K\x01.", &b"\xff\0junk"[..], &vec![7; 100_000]].concat();
    let text = said(&["dis", "--asm", "-"], &odd).1;
    let out = scratch("odd.pkl");
    let out_name = out.to_str().unwrap();
    assert_eq!(
        said(&["asm", "-", "-o", out_name], text.as_bytes()),
        (0, String::new(), String::new())
    );
    assert_eq!(std::fs::read(&out).unwrap(), odd);
    let (code, _, err) = said(&["asm", "-", "-o", out_name], b"NONE\nSTOP");
    assert!(code == 2 && err.contains("--force"), "{err}");
    assert_eq!(said(&["asm", "-", "-o", out_name, "--force"], b"NONE\nSTOP").0, 0);
    assert_eq!(std::fs::read(&out).unwrap(), b"N.");
    std::fs::remove_file(out).unwrap();
    assert_eq!(cli::fed(&["asm", "-"], b"BININT1 7\nSTOP").stdout, b"K\x07.");
    let (code, _, err) = said(&["asm", "-"], b"NONE\nBININT1 256");
    assert_eq!(code, 2);
    assert_eq!(err, "error: -: line 2, column 9: 256 does not fit: BININT1 takes 0 to 255\n");
}

#[test]
fn members_are_judged_by_content() {
    let noise: Vec<u8> = (0..2_000_u32).map(|n| ((n * n) >> 3).to_le_bytes()[1]).collect();
    let long = [b"\x80\x02]q\x00(", &b"K\x01".repeat(100_000)[..], b"e."].concat();
    let zip = archive(&[
        ("a/data.pkl", b"\x80\x02N.", false),
        ("a/data/0", &noise, false),
        ("a/data/1", b"hello", false),
        ("a/data/2", SYSTEM, false),
        ("a/data/3", &long, false),
        ("a/data/4", b"\x80\x02cos\nsystem\n)R\xff\xff", true),
        ("a/version", b"3\n", false),
        ("a/empty.pkl", b"", false),
        ("a/code.py", b"class Foo:\n  pass\n", true),
    ]);
    let path = scratch("members.zip");
    std::fs::write(&path, zip).unwrap();
    let name = path.to_str().unwrap();
    let records = dis_json(&[name], b"");
    let mut members: Vec<&str> =
        records.iter().map(|record| record["member"].as_str().unwrap()).collect();
    members.dedup();
    assert_eq!(members, ["a/data.pkl", "a/data/2", "a/data/3", "a/data/4"]);
    let (code, out, err) = said(&["dis", name], b"");
    assert_eq!(code, 2);
    assert!(out.contains("a/data/4, pickle 0 at byte 0 of the member once inflated"), "{out}");
    assert!(err.contains("a/data/4: unknown opcode 0xff at byte 15 (0xf)"), "{err}");
    assert!(err.contains("a/empty.pkl: the stream ends without STOP at byte"), "{err}");
    assert_eq!(err.lines().count(), 2, "{err}");
    // One of them, by its whole name or the one below its folder.
    for wanted in ["a/data/2", "data/2"] {
        let records = dis_json(&["--member", wanted, name], b"");
        assert_eq!(records.len(), 6);
        assert_eq!(records[0]["global"]["name"], "os.system");
    }
    let (code, _, err) = said(&["dis", "--member", "data/1", name], b"");
    assert_eq!(code, 2);
    assert!(err.contains("no member \"data/1\" that is a pickle"), "{err}");
    let (code, _, err) = said(&["dis", "--asm", name], b"");
    assert!(code == 2 && err.contains("--member"), "{err}");
    let text = said(&["dis", "--asm", "--member", "data/4", name], b"").1;
    assert_eq!(assemble(&text).unwrap(), b"\x80\x02cos\nsystem\n)R\xff\xff");
    std::fs::remove_file(path).unwrap();
}

#[test]
fn an_archive_behind_a_pickle_is_looked_into_as_well() {
    let both = archive_behind(b"\x80\x02N.", &[("x/data.pkl", SYSTEM, false)]);
    let records = dis_json(&["-"], &both);
    let places: Vec<(&Value, &Value)> =
        records.iter().map(|record| (&record["member"], &record["opcode"])).collect();
    assert_eq!(places[0], (&Value::Null, &json!("PROTO")));
    assert!(places.contains(&(&json!("x/data.pkl"), &json!("GLOBAL"))), "{places:?}");
    // Behind what is no pickle there is only the archive.
    let records = dis_json(&["-"], &archive_behind(b"#!/bin/sh\n", &[("x", SYSTEM, false)]));
    assert_eq!(records[0]["member"], "x");
}

#[test]
fn what_breaks_is_shown_first_and_exits_with_2() {
    let (code, out, err) = said(&["dis", "-"], b"N.\x80\x02K\x01NR.");
    assert_eq!(code, 2);
    assert!(out.contains("       7: 52 REDUCE "), "{out}");
    assert!(out.contains("! breaks here: a tuple of arguments wanted, None found"), "{out}");
    assert!(
        err.starts_with(
            "error: -: a tuple of arguments wanted, None found at byte 7 (0x7), in REDUCE"
        ),
        "{err}"
    );
    let (code, out, err) = said(&["dis", "-"], b"K\x01\xff\xfe\xfd");
    assert_eq!(code, 2);
    assert!(
        out.ends_with("       2: ! breaks here: unknown opcode 0xff; 3 bytes: \\xff\\xfe\\xfd\n"),
        "{out}"
    );
    assert!(err.contains("at byte 2 (0x2)"), "{err}");
    let (code, out, _) = said(&["dis", "-"], b"X\xff\0\0\0abc");
    assert_eq!(code, 2);
    assert!(out.contains("255 bytes wanted, 3 left"), "{out}");
    let (code, _, err) = said(&["dis", "-"], b"hello world\n");
    assert!(code == 2 && err.contains("this is a text file"), "{err}");
}

#[test]
fn several_pickles_and_what_follows_them() {
    let stream = b"(lp0\nI1\na.\x80\x02N.\0\0\0";
    let records = dis_json(&["-"], stream);
    let last = records.last().unwrap();
    let rest = json!({ "member": null, "stream": 2, "offset": 14, "bytes": 3,
        "what": "no pickle", "error": "unknown opcode 0x00" });
    assert_eq!(last, &rest);
    assert_eq!(said(&["dis", "-"], stream).0, 0, "Python loads the pickles and does not look on");
    let second = dis_json(&["--stream", "1", "-"], stream);
    let opcodes: Vec<&Value> = second.iter().map(|record| &record["opcode"]).collect();
    assert_eq!(opcodes, ["PROTO", "NONE", "STOP"]);
    let (code, _, err) = said(&["dis", "--stream", "7", "-"], stream);
    assert!(code == 2 && err.contains("no pickle 7"), "{err}");

    let (code, out, err) = said(&["show", "--json", "-"], stream);
    assert_eq!((code, &*out), (0, "[1]\n"));
    assert_eq!(
        err,
        "note: -: another pickle follows at byte 10 (0xa); `show --stream 1` and `dis` show it\n"
    );
    let (code, out, err) = said(&["show", "--json", "--stream", "1", "-"], stream);
    assert_eq!((code, &*out), (0, "null\n"));
    assert_eq!(err, "note: -: 3 bytes follow the pickle that are none\n");
    let (code, _, err) = said(&["show", "--stream", "2", "-"], b"N.N.");
    assert!(code == 2 && err.contains("no pickle 2"), "{err}");
    let (code, _, err) = said(&["show", "--stream", "1", "tensor.pth"], b"");
    assert!(code == 2 && err.contains("no pickle 1"), "{err}");
}

#[test]
fn many_small_pickles_take_one_reading() {
    let stream = b"K\x01.".repeat(50_000);
    let (code, out, _) = said(&["show", "--stream", "49999", "-"], &stream);
    assert_eq!((code, &*out), (0, "1\n"));
    let records = dis_json(&["--stream", "40000", "-"], &stream);
    assert_eq!(records[0]["offset"], 120_000);
}

#[test]
fn extension_codes_mean_what_they_are_said_to() {
    for (stream, code) in
        [(&b"\x82\x07)R."[..], "7"), (b"\x83\x07\x01)R.", "263"), (b"\x84\x07\0\x01\0)R.", "65543")]
    {
        let ordered = format!("{code}=collections.OrderedDict");
        let (status, out, _) = said(&["show", "--json", "--extension", &ordered, "-"], stream);
        assert_eq!((status, &*out), (0, "{\"$object\":\"collections.OrderedDict\"}\n"));
        // Nobody said what it means.
        let (status, _, err) = said(&["show", "-"], stream);
        assert_eq!(status, 2);
        assert!(err.contains(&format!("unregistered extension code {code} at byte 0")), "{err}");
        let (status, out, _) = said(&["show", "--policy", "inspect", "--json", "-"], stream);
        assert_eq!((status, &*out), (0, &*format!("{{\"$call\":{{\"$extension\":{code}}}}}\n")));
        // It is judged as what it stands for.
        let system = format!("{code}=os:system");
        let (status, _, err) = said(&["show", "--extension", &system, "-"], stream);
        assert_eq!(status, 2);
        assert!(err.contains("os.system is refused as a value at byte 0"), "{err}");
        let records = dis_json(&["--extension", &system, "-"], stream);
        assert_eq!(records[0]["global"]["verdict"], "forbidden");
        assert_eq!(records[2]["global"]["position"], "call");
    }
    let (status, _, err) = said(&["show", "--policy", "inspect", "-"], b"\x82\x00.");
    assert_eq!(status, 2);
    assert!(err.contains("extension code below 1"), "{err}");
    for bad in ["7", "0=a.b", "x=a.b", "7=a", "7=.b", "4294967296=a.b"] {
        assert_eq!(said(&["show", "--extension", bad, "-"], b"N.").0, 2, "{bad}");
    }
}

#[test]
fn a_closed_pipe_is_no_error() {
    for form in ["--json", "--jsonl", "--asm", "--max-memory=1G"] {
        let output = cli::unread(&["dis", form, "resnet18_tiny.pth"]);
        assert_eq!((output.status.code(), &output.stderr[..]), (Some(0), &b""[..]), "{form}");
    }
}

#[test]
fn names_from_files_cannot_write_to_the_terminal() {
    let zip =
        archive(&[("a\x1b[2J/data.pkl", b"c\x1b[2J\n\x1b[2J\n(S'\x1b[2J'\ntp\x1b\n.", false)]);
    for form in ["--json", "--jsonl", "--asm", "--max-memory=1G"] {
        let output = cli::fed(&["dis", form, "-"], &zip);
        assert!(!output.stdout.is_empty());
        assert!(!output.stdout.contains(&0x1b) && !output.stderr.contains(&0x1b), "{form}");
    }
}

#[test]
fn every_pickle_of_a_tar_is_shown_and_what_lies_between_is_not_taken_for_one() {
    let file = fixture("containers/tar.pth");
    let file = file.to_str().unwrap();
    let (code, _, err) = said(&["dis", file], b"");
    assert_eq!((code, err.as_str()), (0, ""));
    let records = dis_json(&[file], b"");
    let streams = |member: &str| {
        let of_member = records.iter().filter(|record| record["member"] == member);
        let streams = of_member.filter_map(|record| record["stream"].as_u64());
        streams.max().unwrap() + 1
    };
    // A count and 8 tensors; a count, 5 storages and the pieces.
    assert_eq!([streams("sys_info"), streams("pickle"), streams("tensors")], [1, 1, 9]);
    assert_eq!(streams("storages"), 7);
    let one = dis_json(&["--member", "tensors", "--stream", "8", file], b"");
    assert!(!one.is_empty() && one.iter().all(|record| record["stream"] == 8));
}
