//! A sequence of positions, and the steps that repeat in it.
//!
//! # Invariants
//! - Looking at one more position costs the same every time, and allocates nothing.
//! - A pattern is known when its steps were seen twice in a row, and forgotten after three wrong
//!   ones in a row, or when it was wrong as often as right.

/// Steps after which a sequence may repeat.
pub(super) const PERIOD_MAX: usize = 32;
/// Wrong steps in a row that end a pattern.
const MISSES_MAX: u8 = 3;

/// Positions one after another.
#[derive(Debug, Clone)]
pub(super) struct Track {
    last: i64,
    /// The latest steps, the newest in front.
    steps: [i64; PERIOD_MAX],
    len: usize,
    /// For each period, how many steps in a row were those of one period earlier.
    runs: [u32; PERIOD_MAX],
    pattern: Option<Pattern>,
}

/// Steps that repeat.
#[derive(Debug, Clone)]
pub(super) struct Pattern {
    steps: [i64; PERIOD_MAX],
    period: usize,
    /// Which one is next.
    phase: usize,
    /// Steps that came as expected, halved by each that did not.
    strength: u32,
    /// Wrong steps since the last right one.
    misses: u8,
    /// Right steps since the last wrong one.
    since_miss: u32,
}

/// What a step was to the pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// As it said.
    Expected,
    /// Another one.
    Missed,
    /// There was no pattern.
    Free,
}

impl Pattern {
    /// How many steps ahead it may be trusted.
    pub(super) fn reach(&self) -> u32 {
        match self.misses {
            0 => self.strength.min(2_u32.saturating_mul(self.since_miss).saturating_add(2)),
            // The sequence went elsewhere and may go on there.
            _ => self.strength.min(2),
        }
    }

    /// How often it was right, from 0 to 1.
    pub(super) fn trust(&self) -> f64 {
        f64::from(self.strength) / (f64::from(self.strength) + 1.0)
    }

    /// Whether it needs no second opinion.
    pub(super) fn is_proven(&self) -> bool {
        self.strength as usize >= 2 + self.period.min(6)
    }

    /// The steps to come.
    pub(super) fn ahead(&self) -> impl Iterator<Item = i64> + '_ {
        let round = self.steps.get(..self.period).unwrap_or_default();
        round.iter().copied().cycle().skip(self.phase)
    }

    fn take(&mut self, step: i64) -> bool {
        let expected = self.ahead().next() == Some(step);
        self.phase = (self.phase + 1) % self.period.max(1);
        if expected {
            self.strength = self.strength.saturating_add(1);
            self.since_miss = self.since_miss.saturating_add(1);
            self.misses = 0;
        } else {
            self.strength /= 2;
            self.since_miss = 0;
            self.misses += 1;
        }
        expected
    }
}

impl Track {
    pub(super) fn new(position: i64) -> Self {
        Self {
            last: position,
            steps: [0; PERIOD_MAX],
            len: 0,
            runs: [0; PERIOD_MAX],
            pattern: None,
        }
    }

    pub(super) fn last(&self) -> i64 {
        self.last
    }

    pub(super) fn pattern(&self) -> Option<&Pattern> {
        self.pattern.as_ref()
    }

    /// Whether it has seen one position only.
    pub(super) fn is_single(&self) -> bool {
        self.len == 0
    }

    /// The position that the pattern says is next.
    pub(super) fn expected(&self) -> Option<i64> {
        self.last.checked_add(self.pattern.as_ref()?.ahead().next()?)
    }

    /// Begins anew at `position`, keeping a pattern that may go on there.
    pub(super) fn jump(&mut self, position: i64) {
        self.last = position;
        self.len = 0;
        self.runs = [0; PERIOD_MAX];
    }

    /// Goes to `position`. A step that was `foretold` is not held against the pattern.
    pub(super) fn advance(&mut self, position: i64, foretold: bool) -> Step {
        let Some(step) = position.checked_sub(self.last) else {
            self.jump(position);
            return Step::Missed;
        };
        self.last = position;
        self.count(step);
        let met = match &mut self.pattern {
            None => Step::Free,
            Some(pattern) => {
                let before = (pattern.strength, pattern.since_miss);
                match pattern.take(step) {
                    true => Step::Expected,
                    false if foretold => {
                        (pattern.strength, pattern.since_miss) = before;
                        pattern.misses = 0;
                        return Step::Expected;
                    }
                    false => Step::Missed,
                }
            }
        };
        if met != Step::Expected {
            self.look_for_pattern();
        }
        met
    }

    fn count(&mut self, step: i64) {
        let len = self.len;
        for (index, (run, earlier)) in self.runs.iter_mut().zip(&self.steps).enumerate() {
            *run = if index < len && *earlier == step { run.saturating_add(1) } else { 0 };
        }
        self.steps.rotate_right(1);
        if let Some(newest) = self.steps.first_mut() {
            *newest = step;
        }
        self.len = (len + 1).min(PERIOD_MAX);
    }

    /// The shortest period of which two rounds were seen; else the old pattern, if it is worth it.
    fn look_for_pattern(&mut self) {
        let mut runs = self.runs.iter().zip(1..);
        if let Some((&run, period)) = runs.find(|&(&run, period)| run as usize >= period) {
            let mut steps = [0; PERIOD_MAX];
            let round = self.steps.get(..period).unwrap_or_default().iter().rev();
            steps.iter_mut().zip(round).for_each(|(to, from)| *to = *from);
            let (phase, misses, since_miss) = (0, 0, run);
            self.pattern =
                Some(Pattern { steps, period, phase, strength: run, misses, since_miss });
            return;
        }
        let worthless = |pattern: &Pattern| pattern.strength == 0 || pattern.misses >= MISSES_MAX;
        if self.pattern.as_ref().is_some_and(worthless) {
            self.pattern = None;
        }
    }

    /// A guess that has to come true once before it counts.
    pub(super) fn doubt(&mut self) {
        if let Some(pattern) = &mut self.pattern {
            pattern.strength = 0;
        }
    }
}
