//! Which of the segments in a directory count.
//!
//! A compaction replaces a range of log segments by one or more outputs. Its renames are not
//! atomic together, so the outputs count only when all of them are there; until then the inputs
//! do. Retention gives up all log segments below a number.
//!
//! # Invariants
//! - Every log segment present is covered exactly once by what counts, or given up.
//! - Nothing that is the only copy of something is ever called dead.

use std::collections::BTreeMap;

use presence_format::segment::SegmentHeader;

/// One candidate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Candidate {
    pub(crate) number: u32,
    pub(crate) generation: u32,
    pub(crate) log_first: u32,
    pub(crate) log_last: u32,
    pub(crate) part: u16,
    pub(crate) parts: u16,
    /// Which compaction it came from.
    pub(crate) set: u32,
    /// The log segment before `log_first`. Numbers in between may be those of compactions.
    pub(crate) previous: u32,
}

impl Candidate {
    pub(crate) fn new(header: &SegmentHeader) -> Self {
        Self {
            number: header.segment.get(),
            generation: header.generation.get(),
            log_first: header.log_first.get(),
            log_last: header.log_last.get(),
            previous: header.previous_segment.get(),
            part: header.part.get(),
            parts: header.parts.get(),
            set: header.set.get(),
        }
    }

    fn group(&self) -> (u32, u32, u32, u32, u16) {
        (self.set, self.generation, self.log_first, self.log_last, self.parts)
    }

    fn spans(&self, other: &Self) -> bool {
        self.log_first <= other.log_first && other.log_last <= self.log_last
    }

    fn covers(&self, other: &Self) -> bool {
        self.spans(other) && self.generation > other.generation
    }
}

/// The numbers of the segments that count, in the order of the log, and of those that are dead.
pub(crate) fn live(candidates: &[Candidate]) -> (Vec<u32>, Vec<u32>) {
    let mut present: BTreeMap<_, Vec<&Candidate>> = BTreeMap::new();
    for candidate in candidates {
        present.entry(candidate.group()).or_default().push(candidate);
    }
    let whole = |candidate: &Candidate| {
        let parts = present.get(&candidate.group()).map_or(0, Vec::len);
        parts == usize::from(candidate.parts)
    };
    let replaced = |candidate: &Candidate| {
        // What an interrupted compaction left is dead once another one of the same was completed.
        let again = |other: &Candidate| other.set != candidate.set && other.spans(candidate);
        candidates.iter().any(|other| {
            whole(other) && (other.covers(candidate) || (!whole(candidate) && again(other)))
        })
    };
    // An incomplete output is dead where everything that it stands for is there in other segments:
    // each of them names the one before.
    let redundant = |candidate: &Candidate| {
        let mut log = candidate.log_last;
        while !whole(candidate) {
            let other = candidates
                .iter()
                .find(|other| candidate.covers(other) && other.log_last == log && whole(other));
            match other {
                Some(other) if other.log_first == candidate.log_first => return true,
                Some(other) if other.previous < log => log = other.previous,
                _ => return false,
            }
        }
        false
    };
    let (mut dead, mut counting): (Vec<&Candidate>, Vec<&Candidate>) =
        candidates.iter().partition(|candidate| replaced(candidate) || redundant(candidate));
    counting.sort_by_key(|candidate| (candidate.log_first, candidate.part, candidate.number));
    dead.sort_by_key(|candidate| candidate.number);
    let numbers = |list: Vec<&Candidate>| list.iter().map(|candidate| candidate.number).collect();
    (numbers(counting), numbers(dead))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(number: u32) -> Candidate {
        follows(number, number - 1)
    }

    fn follows(number: u32, previous: u32) -> Candidate {
        let (log_first, log_last) = (number, number);
        Candidate {
            number,
            generation: 0,
            log_first,
            log_last,
            part: 0,
            parts: 1,
            set: 0,
            previous,
        }
    }

    fn output(number: u32, range: (u32, u32), generation: u32, part: u16, parts: u16) -> Candidate {
        let set = number - u32::from(part);
        let (log_first, log_last) = range;
        let previous = log_first - 1;
        Candidate { number, generation, log_first, log_last, part, parts, set, previous }
    }

    #[test]
    fn outputs_count_when_all_are_there() {
        let inputs = [log(1), log(2), log(3)];
        assert_eq!(live(&inputs), (vec![1, 2, 3], vec![]));
        let half = [log(1), log(2), log(3), output(4, (1, 2), 1, 0, 2)];
        assert_eq!(live(&half), (vec![1, 2, 3], vec![4]));
        let whole = [&half[..], &[output(5, (1, 2), 1, 1, 2)]].concat();
        assert_eq!(live(&whole), (vec![4, 5, 3], vec![1, 2]));
        assert_eq!(live(&whole[1..]), (vec![4, 5, 3], vec![2]));
        // A part lost when the inputs are gone: the other is the only copy of what it holds.
        assert_eq!(live(&[log(3), output(4, (1, 2), 1, 0, 2)]), (vec![4, 3], vec![]));
    }

    #[test]
    fn what_an_interrupted_compaction_left_is_dead_when_it_was_done_again() {
        let left = output(4, (1, 2), 1, 0, 2);
        let again = [output(5, (1, 2), 1, 0, 2), output(6, (1, 2), 1, 1, 2)];
        assert_eq!(live(&[log(1), log(2), left, again[0]]), (vec![1, 2], vec![4, 5]));
        assert_eq!(live(&[log(1), left, again[0], again[1]]), (vec![5, 6], vec![1, 4]));
        assert_eq!(live(&[left, again[0], again[1]]), (vec![5, 6], vec![4]));
    }

    #[test]
    fn numbers_that_compactions_took_are_no_missing_segments() {
        let inputs = [log(1), follows(4, 1), follows(7, 4)];
        let half = [&inputs[..], &[output(8, (1, 7), 1, 0, 2)]].concat();
        assert_eq!(live(&half), (vec![1, 4, 7], vec![8]));
        assert_eq!(live(&half[1..]), (vec![8, 4, 7], vec![]));
    }

    #[test]
    fn a_compaction_of_compactions_replaces_them() {
        let all = [output(4, (1, 2), 1, 0, 1), log(3), output(6, (1, 3), 2, 0, 1), log(5)];
        assert_eq!(live(&all), (vec![6, 5], vec![3, 4]));
    }
}
