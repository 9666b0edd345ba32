//! The command-line tool, in this process, over seeds and fixtures: its JSON is JSON.
#![cfg(feature = "cli")]

include!("../cli/mod.rs");

#[test]
fn every_command_holds_for_the_fixtures_and_the_corpus() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut todo =
        vec![root.join("../tests/fixtures"), root.join("corpus/cli"), root.join("seeds/cli")];
    let mut count = 0;
    while let Some(path) = todo.pop() {
        if let Ok(entries) = std::fs::read_dir(&path) {
            todo.extend(entries.map(|entry| entry.expect("an entry").path()));
        } else if let Ok(bytes) = std::fs::read(&path) {
            count += 1;
            let done = catch_unwind(AssertUnwindSafe(|| {
                if path.starts_with(root.join("../tests")) {
                    every(COMMANDS, &bytes)
                } else {
                    cli(&bytes)
                }
            }));
            assert!(done.is_ok(), "{}", path.display());
        }
    }
    assert!(count > 100, "only {count} files");
}
