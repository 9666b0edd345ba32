//! Numbers and names for people.

/// Bytes: three digits and a unit of 1,024s.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
pub fn human(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut size = bytes as f64 / 1024.0;
    let mut units = UNITS.iter();
    let mut unit = units.next().unwrap_or(&"");
    while size >= 1023.95 {
        let Some(next) = units.next() else { break };
        (size, unit) = (size / 1024.0, next);
    }
    format!("{size:.1} {unit}")
}

/// A count and what is counted.
pub(super) fn counted(count: u64, one: &str, many: &str) -> String {
    if count == 1 { format!("1 {one}") } else { format!("{} {many}", thousands(count)) }
}

/// A count for people: thousands set apart by commas.
#[must_use]
pub fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (index, digit) in digits.chars().enumerate() {
        let left = digits.len().saturating_sub(index);
        if index > 0 && left.is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// The first few of many names.
pub(super) fn few<'name>(names: impl IntoIterator<Item = &'name str>) -> String {
    const SHOWN: usize = 4;
    let mut names = names.into_iter();
    let first: Vec<String> = names.by_ref().take(SHOWN).map(short).collect();
    let rest = names.count();
    let more =
        if rest > 0 { format!(" and {} more", thousands(rest as u64)) } else { String::new() };
    format!("{}{more}", first.join(", "))
}

/// A name of bearable length.
pub(super) fn short(name: &str) -> String {
    const LONGEST: usize = 120;
    match name.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", name.get(..end).unwrap_or_default()),
        None => name.to_owned(),
    }
}

/// Of so many bytes, how many in a hundred: rounded down, so that 100 means all.
pub(super) fn percent(part: u64, whole: u64) -> u64 {
    let part = u128::from(part).saturating_mul(100);
    let percent = part.checked_div(u128::from(whole)).unwrap_or(100);
    u64::try_from(percent).unwrap_or(100).min(100)
}
