//! Reports as one SARIF 2.1.0 document.
//!
//! Source: OASIS "Static Analysis Results Interchange Format (SARIF) Version 2.1.0".

use depickle::scan::{Finding, RULES, Report, Rule, Severity, Verdict};
use serde_json::{Value, json};

/// Results so far.
#[derive(Default)]
pub(super) struct Log {
    results: Vec<Value>,
    artifacts: Vec<Value>,
    failed: bool,
}

impl Log {
    pub(super) fn add(&mut self, path: &str, report: &Report) {
        let index = self.artifacts.len();
        self.artifacts.push(json!({
            "location": { "uri": uri(path) },
            "properties": { "verdict": report.verdict.name(), "kind": report.kind },
        }));
        self.failed |= report.verdict == Verdict::Error;
        self.results.extend(report.findings.iter().map(|finding| result(finding, path, index)));
    }

    /// The document. Its one run was successful if every file was read to its end.
    pub(super) fn document(self) -> Value {
        json!({
            "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
            "version": "2.1.0",
            "runs": [{
                "tool": { "driver": {
                    "name": "depickle",
                    "version": env!("CARGO_PKG_VERSION"),
                    "semanticVersion": env!("CARGO_PKG_VERSION"),
                    "rules": RULES.iter().map(|rule| descriptor(rule)).collect::<Vec<_>>(),
                }},
                "invocations": [{ "executionSuccessful": !self.failed }],
                "artifacts": self.artifacts,
                "results": self.results,
                "columnKind": "utf16CodeUnits",
            }],
        })
    }
}

fn descriptor(rule: &Rule) -> Value {
    json!({
        "id": rule.id,
        "shortDescription": { "text": rule.summary },
        "fullDescription": { "text": format!("{} {}", rule.summary, rule.why) },
        "defaultConfiguration": { "level": level(rule.severity) },
        "properties": { "security-severity": score(rule.severity), "tags": ["security"] },
    })
}

const fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical | Severity::High => "error",
        Severity::Medium => "warning",
        Severity::Info => "note",
    }
}

/// As code scanning services sort them: 0 to 10.
const fn score(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical => "9.8",
        Severity::High => "8.0",
        Severity::Medium => "5.0",
        Severity::Info => "0.0",
    }
}

fn result(finding: &Finding, path: &str, index: usize) -> Value {
    let mut text = finding.message.clone();
    if let Some(line) = &finding.line {
        text.push_str(": ");
        text.push_str(line);
    }
    let mut physical = json!({ "artifactLocation": { "uri": uri(path), "index": index } });
    // Offsets in what had to be unpacked are none in the file; they stand in the properties.
    let whole = finding.place.offset.filter(|_| finding.place.member.is_none());
    if let (Some(at), Some(object)) = (whole, physical.as_object_mut()) {
        object.insert("region".to_owned(), json!({ "byteOffset": at.0, "byteLength": 1 }));
    }
    let mut location = json!({ "physicalLocation": physical });
    if let (Some(member), Some(object)) = (&finding.place.member, location.as_object_mut()) {
        let logical = json!([{ "fullyQualifiedName": member, "kind": "resource" }]);
        object.insert("logicalLocations".to_owned(), logical);
    }
    let index = RULES.iter().position(|rule| rule.id == finding.rule.id);
    json!({
        "ruleId": finding.rule.id,
        "ruleIndex": index,
        "level": level(finding.rule.severity),
        "message": { "text": text },
        "locations": [location],
        "partialFingerprints": { "finding/v1": fingerprint(finding, path) },
        "properties": {
            "severity": finding.rule.severity.name(),
            "global": finding.global,
            "position": finding.position.map(|position| position.name()),
            "member": finding.place.member,
            "offset": finding.place.offset.map(|at| at.0),
            "count": finding.count,
        },
    })
}

/// The same for the same finding in the same file, wherever it moved to in it.
fn fingerprint(finding: &Finding, path: &str) -> String {
    let member = finding.place.member.as_deref().unwrap_or_default();
    let global = finding.global.as_deref().unwrap_or_default();
    let position = finding.position.map_or("", |position| position.name());
    format!("{path}|{member}|{}|{global}|{position}", finding.rule.id)
}

/// A path as a relative or absolute URI reference (RFC 3986).
fn uri(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    for byte in path.replace('\\', "/").bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'/' | b'-' | b'.' | b'_' | b'~' => {
                out.push(char::from(byte));
            }
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    if out.starts_with('/') { format!("file://{out}") } else { out }
}
