//! Expected output in which `…` stands for what varies: within a line for any text, alone on a line for any lines.

const ANYTHING: &str = "…";

/// Whether `found` is what `expected` says. Blanks count as one wherever they are several, since programs align columns
/// by what varies; those at the ends of lines and blank lines at the end do not count.
pub fn matches(expected: &str, found: &str) -> bool {
    let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    let lines = |text: &str| text.trim_end().lines().map(words).collect::<Vec<_>>();
    all(&lines(expected), &lines(found))
}

fn all(expected: &[String], found: &[String]) -> bool {
    match (expected.split_first(), found.split_first()) {
        (None, None) => true,
        (Some((first, rest)), _) if first == ANYTHING => (0..=found.len()).any(|skipped| all(rest, &found[skipped..])),
        (Some((pattern, expected)), Some((line, found))) => fits(pattern, line) && all(expected, found),
        _ => false,
    }
}

fn fits(pattern: &str, line: &str) -> bool {
    let mut parts = pattern.split(ANYTHING);
    let Some(mut rest) = line.strip_prefix(parts.next().unwrap_or_default()) else { return false };
    let parts: Vec<&str> = parts.collect();
    let Some((last, middle)) = parts.split_last() else { return rest.is_empty() };
    for part in middle {
        let Some((_, after)) = rest.split_once(part) else { return false };
        rest = after;
    }
    rest.ends_with(last)
}

#[test]
fn what_varies_may_be_anything_and_nothing_else_may() {
    for (expected, found) in [
        ("a", "a  \n\n"),
        ("a…c", "abc"),
        ("a…c", "ac"),
        ("…b…d…", "abcde"),
        ("a\n…\nd", "a\nb\nc\nd"),
        ("…\nd", "d"),
        ("", "\n"),
        ("a    …  c", "a b c"),
    ] {
        assert!(matches(expected, found), "{expected:?} {found:?}");
    }
    for (expected, found) in
        [("a", "b"), ("a…c", "ab"), ("aa…aa", "aaa"), ("a\n…\nd", "a\nb"), ("", "a"), ("a", "a\nb"), ("a\nb", "a")]
    {
        assert!(!matches(expected, found), "{expected:?} {found:?}");
    }
}
