//! The dictionaries are those of the tables. `BLESS=1` writes them anew.

use std::fs;
use std::path::Path;

use depickle_fuzz::generate::tables;

#[test]
fn dictionaries_are_up_to_date() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("dictionaries");
    for (name, text) in
        [("pickle", tables::pickle_dictionary()), ("archive", tables::archive_dictionary())]
    {
        let path = folder.join(format!("{name}.dict"));
        if std::env::var_os("BLESS").is_some() {
            fs::create_dir_all(&folder).expect("a folder");
            fs::write(&path, &text).expect("a dictionary");
        }
        let is = fs::read_to_string(&path).unwrap_or_default();
        assert!(is == text, "{} is out of date: run with BLESS=1", path.display());
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            assert!(line.ends_with('"') && line.is_ascii(), "{line}");
        }
    }
}
