//! "Did you mean": the nearest of the words that would be right.

/// The candidate nearest to `word`, where one is near enough to be a slip of the keyboard.
pub(crate) fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    /// Nobody mistypes a word of this length into another; it also bounds the work on hostile input.
    const LONGEST: usize = 64;
    if word.len() > LONGEST {
        return None;
    }
    let slips = (word.chars().count() / 3).max(1);
    candidates
        .into_iter()
        .map(|candidate| (distance(word, candidate), candidate))
        .filter(|&(distance, _)| distance <= slips)
        .min_by_key(|&(distance, _)| distance)
        .map(|(_, candidate)| candidate)
}

/// Optimal string alignment: insertions, deletions, replacements and swaps of neighbours, each of cost 1.
fn distance(left: &str, right: &str) -> usize {
    let left: Vec<char> = left.chars().collect();
    let right: Vec<char> = right.chars().collect();
    let width = right.len() + 1;
    let mut grid = vec![0; (left.len() + 1) * width];
    for (column, cost) in grid.iter_mut().enumerate().take(width) {
        *cost = column;
    }
    for row in 1..=left.len() {
        grid[row * width] = row;
        for column in 1..width {
            let replaced = usize::from(left[row - 1] != right[column - 1]);
            let mut cost = (grid[(row - 1) * width + column - 1] + replaced)
                .min(grid[(row - 1) * width + column] + 1)
                .min(grid[row * width + column - 1] + 1);
            if row > 1 && column > 1 && left[row - 1] == right[column - 2] && left[row - 2] == right[column - 1] {
                cost = cost.min(grid[(row - 2) * width + column - 2] + 1);
            }
            grid[row * width + column] = cost;
        }
    }
    grid[left.len() * width + right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_forgiven_and_another_word_is_not() {
        let keys = ["upstream", "hosts", "path", "path_prefix", "methods"];
        assert_eq!(nearest("upsteram", keys), Some("upstream"));
        assert_eq!(nearest("host", keys), Some("hosts"));
        assert_eq!(nearest("path-prefix", keys), Some("path_prefix"));
        assert_eq!(nearest("timeout", keys), None);
        assert_eq!(nearest(&"x".repeat(10_000), keys), None);
    }

    #[test]
    fn swapped_neighbours_cost_one() {
        assert_eq!(distance("ab", "ba"), 1);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("grün", "grun"), 1);
    }
}
