//! Which known word was probably meant.

/// The known word nearest to `word`, if one is near enough to be a slip of the pen: at most a third
/// of its letters differ, swapped neighbours counting once, or one is
/// a part of the other.
pub fn nearest<'k>(word: &str, known: &[&'k str]) -> Option<&'k str> {
    if word.len() > WORD_BYTES_MAX {
        return None;
    }
    let wanted = word.to_ascii_lowercase().replace('-', "_");
    let near = |candidate: &&str, steps: usize| {
        let part = wanted.len() >= PART_LETTERS_MIN && (candidate.contains(&wanted) || wanted.contains(*candidate));
        part || steps * 3 <= candidate.len().max(3)
    };
    let distances = known.iter().map(|candidate| (distance(&wanted, candidate), *candidate));
    distances.filter(|(steps, candidate)| near(candidate, *steps)).min().map(|(_, candidate)| candidate)
}

/// Longest word that is taken for a slip of the pen: comparing a file's worth of letters takes minutes.
const WORD_BYTES_MAX: usize = 128;

/// From how many letters on a word that is part of a known one is taken for it.
const PART_LETTERS_MIN: usize = 4;

/// Damerau's distance with adjacent transpositions.
fn distance(from: &str, to: &str) -> usize {
    let (from, to): (Vec<char>, Vec<char>) = (from.chars().collect(), to.chars().collect());
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=to.len()).collect();
    for (row, left) in from.iter().enumerate() {
        let mut current = vec![row + 1];
        for (column, right) in to.iter().enumerate() {
            let replaced = above[column] + usize::from(left != right);
            let mut steps = replaced.min(above[column + 1] + 1).min(current[column] + 1);
            if row > 0 && column > 0 && *left == to[column - 1] && from[row - 1] == *right {
                steps = steps.min(before[column - 1] + 1);
            }
            current.push(steps);
        }
        before = std::mem::replace(&mut above, current);
    }
    above[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: &[&str] = &["client_id", "client_secret", "grant_type", "issuer", "provider", "scope", "upstream"];

    #[test]
    fn slips_of_the_pen_find_the_word_that_was_meant() {
        for (word, meant) in [
            ("provder", "provider"),
            ("porvider", "provider"),
            ("client-id", "client_id"),
            ("ClientSecret", "client_secret"),
            ("scopes", "scope"),
            ("isuer", "issuer"),
            ("secret", "client_secret"),
        ] {
            assert_eq!(nearest(word, KNOWN), Some(meant), "{word}");
        }
    }

    #[test]
    fn a_word_that_is_like_none_finds_none() {
        for word in ["", "x", "colour", "timeout", &"client_id".repeat(100_000)] {
            assert_eq!(nearest(word, KNOWN), None, "{}", word.len());
        }
    }
}
