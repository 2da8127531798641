//! Ways to jump through frames.
//!
//! # Invariants
//! - Every step of a pattern is a frame that is there.

use std::path::Path;

use clap::ValueEnum;
use presence_cli::failure::{Failure, Result};
use presence_cli::random::Random;

/// A way to jump through frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Pattern {
    /// One after the other.
    Sequential,
    /// From the last one back.
    Backward,
    /// Anywhere.
    Random,
    /// Every 17th, round and round.
    Stride,
    /// One after the other, and at every fifth step a jump.
    Jumps,
    /// One after the other, and every third step elsewhere.
    Mixed,
    /// The first 150 again and again.
    Loop,
}

impl Pattern {
    /// All of them.
    pub(crate) const ALL: [Self; 7] = [
        Self::Sequential,
        Self::Backward,
        Self::Random,
        Self::Stride,
        Self::Jumps,
        Self::Mixed,
        Self::Loop,
    ];

    /// Its name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Sequential => "sequential",
            Self::Backward => "backward",
            Self::Random => "random",
            Self::Stride => "stride",
            Self::Jumps => "jumps",
            Self::Mixed => "mixed",
            Self::Loop => "loop",
        }
    }

    /// So many steps through `frames` of them, counted from 0.
    pub(crate) fn steps(self, steps: u32, frames: u32, seed: u64) -> Vec<u32> {
        let all = u64::from(frames.max(1));
        let mut random = Random::new(seed);
        let mut at = 0;
        let step = |index: u32| {
            let i = u64::from(index);
            at = match self {
                Self::Sequential => i,
                Self::Backward => all - 1 - i % all,
                Self::Random => random.below(all),
                Self::Stride => i * 17,
                Self::Jumps if index.is_multiple_of(5) => i * 15,
                Self::Jumps => at + 1,
                Self::Mixed if index.is_multiple_of(3) => i * 7,
                Self::Mixed => i,
                Self::Loop => i % 150,
            } % all;
            at as u32
        };
        (0..steps).map(step).collect()
    }
}

/// The steps of a file of frame numbers, one a line, counted from the frame `first`.
///
/// # Errors
/// Where it cannot be read, or a line is no frame of `first .. first + frames`.
pub(crate) fn trace(path: &Path, first: u32, frames: u32) -> Result<Vec<u32>> {
    let name = path.display();
    let text = std::fs::read_to_string(path)
        .map_err(|error| Failure::io(&format!("read {name}"), &error))?;
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let step = |(index, line): (usize, &str)| {
        let frame = line.trim().parse::<u32>().ok().and_then(|frame| frame.checked_sub(first));
        frame.filter(|&frame| frame < frames).ok_or_else(|| {
            let last = u64::from(first) + u64::from(frames) - 1;
            Failure::usage(format!("{name}:{}: not a frame from {first} to {last}", index + 1))
        })
    };
    lines.map(step).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_those_of_the_words_and_within() {
        assert_eq!(Pattern::Sequential.steps(4, 3, 0), [0, 1, 2, 0]);
        assert_eq!(Pattern::Backward.steps(4, 3, 0), [2, 1, 0, 2]);
        assert_eq!(Pattern::Stride.steps(3, 20, 0), [0, 17, 14]);
        assert_eq!(Pattern::Jumps.steps(7, 1000, 0), [0, 1, 2, 3, 4, 75, 76]);
        assert_eq!(Pattern::Mixed.steps(5, 1000, 0), [0, 1, 2, 21, 4]);
        assert_eq!(Pattern::Loop.steps(152, 1000, 0)[149..], [149, 0, 1]);
        for pattern in Pattern::ALL {
            assert!(pattern.steps(1000, 13, 7).iter().all(|&at| at < 13), "{pattern:?}");
            assert_eq!(pattern.steps(9, 1, 7), [0; 9]);
        }
    }

    #[test]
    fn traces_are_read_and_refused_by_line() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("trace");
        std::fs::write(&path, "5\r\n\n 7 \n").unwrap();
        assert_eq!(trace(&path, 5, 3).unwrap(), [0, 2]);
        let refused = trace(&path, 6, 3).unwrap_err().to_string();
        assert!(refused.ends_with(":1: not a frame from 6 to 8"), "{refused}");
    }
}
