//! Verdicts, beside what loading says.

use bytes::Bytes;
use depickle::Category;
use depickle::python::policy;
use depickle::scan::{Scanner, Verdict};
use depickle::torch::Options;

use crate::{Unlent, small};

/// A verdict does not depend on how the file is read, what was not read is never clean, and what
/// is clean loads without a global being refused.
pub fn scan(bytes: &[u8]) {
    let scanner = Scanner::new().limits(small().limits().clone());
    let bytes = Bytes::copy_from_slice(bytes);
    let report = scanner.scan(&bytes);
    let again = scanner.scan(&Unlent(bytes.clone()));
    if report.complete && again.complete {
        assert_eq!(report.verdict, again.verdict);
        assert_eq!(report.counts(), again.counts());
    }
    for finding in &report.findings {
        assert!(!finding.to_string().is_empty());
    }
    if report.verdict != Verdict::Clean {
        return;
    }
    assert!(report.complete, "clean means: read to the end");
    let counts = report.counts();
    assert_eq!((counts.unknown, counts.forbidden), (0, 0));
    let options = Options::default().policy(policy::models().clone());
    if let Err(why) = options.limits(small().limits().clone()).read(bytes) {
        assert_ne!(why.category(), Category::Forbidden, "clean, and yet: {why}");
    }
}
