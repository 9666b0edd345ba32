//! A report as JSON.

use depickle::scan::{Finding, Report};
use serde_json::{Value, json};

/// The document of one file.
pub(super) fn document(path: &str, report: &Report) -> Value {
    let counts = report.counts();
    json!({
        "path": path,
        "verdict": report.verdict.name(),
        "findings": report.findings.iter().map(finding).collect::<Vec<_>>(),
        "globals": {
            "whitelisted": counts.whitelisted,
            "unknown": counts.unknown,
            "forbidden": counts.forbidden,
        },
        "complete": report.complete,
        "kind": report.kind,
        "pickles": report.pickles,
    })
}

fn finding(finding: &Finding) -> Value {
    json!({
        "rule": finding.rule.id,
        "severity": finding.rule.severity.name(),
        "global": finding.global,
        "position": finding.position.map(|position| position.name()),
        "member": finding.place.member,
        "offset": finding.place.offset.map(|at| at.0),
        "message": finding.message,
        "line": finding.line,
        "count": finding.count,
    })
}
