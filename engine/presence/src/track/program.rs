//! An expression over the bitmaps that are there, in a form without complements.
//!
//! All bitmaps lie within the observed one, so a complement is only ever needed within something:
//! `a & !b` is `a` without `b`, and `!a | !b` is what was observed without `a & b`. The observed
//! bitmap is read only where the whole expression is a complement.
//!
//! # Invariants
//! - Every tick of a program is in the observed bitmap.
//! - A container that a program skips has no tick of it; one that it does not skip may have none.

use std::ops::Range;

use super::cursor::ranked;
use super::expression::{self, ClassRef, DEPTH_MAX, Expression};
use super::kernels::{self, BITS, WORDS, Words};
use super::source::{Bitmap, Bitmaps, Fill};
use crate::error::{Error, Result};

/// What an expression asks of the bitmaps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Program {
    /// No tick: of classes that were never seen.
    Nothing,
    /// All that was observed.
    Observed,
    /// A class that is there.
    Class(u16),
    /// Ticks in all of them; at least two.
    All(Vec<Program>),
    /// Ticks in one of them; at least two.
    Any(Vec<Program>),
    /// Ticks in the first that are not in the second.
    Without(Box<Program>, Box<Program>),
}

/// A program, or all that was observed but the program.
struct Signed {
    program: Program,
    negative: bool,
}

impl Program {
    /// The program of `expression` over `bitmaps`.
    ///
    /// # Errors
    /// When a name is no class, or the expression is too deep.
    pub(crate) fn new(expression: &Expression, bitmaps: &impl Bitmaps) -> Result<Self> {
        let Signed { program, negative } = signed(expression, bitmaps)?;
        Ok(if negative { without(Self::Observed, program) } else { program })
    }

    /// How many of `ticks` there are, by the index alone, where that is known: of a class, and of
    /// all but a class.
    pub(crate) fn indexed_count(
        &self,
        bitmaps: &impl Bitmaps,
        ticks: &Range<i64>,
    ) -> Result<Option<u64>> {
        let observed = || ranked(bitmaps.observed(), ticks);
        let class = |class: u16| bitmaps.class(class).map_or(Ok(0), |bitmap| ranked(bitmap, ticks));
        Ok(match self {
            Self::Nothing => Some(0),
            Self::Observed => Some(observed()?),
            Self::Class(id) => Some(class(*id)?),
            Self::Without(all, one) => match (&**all, &**one) {
                (Self::Observed, Self::Class(id)) => Some(observed()?.saturating_sub(class(*id)?)),
                _ => None,
            },
            Self::All(_) | Self::Any(_) => None,
        })
    }

    /// The first container at or after `from` that may have a tick.
    pub(crate) fn next_container<L: Bitmaps>(&self, bitmaps: &L, from: i64) -> Result<Option<i64>> {
        self.seek(bitmaps, from, &|bitmap, at| bitmap.next_container(at), &Ord::min)
    }

    /// The last container at or before `to` that may have a tick.
    pub(crate) fn previous_container<L: Bitmaps>(
        &self,
        bitmaps: &L,
        to: i64,
    ) -> Result<Option<i64>> {
        self.seek(bitmaps, to, &|bitmap, at| bitmap.previous_container(at), &Ord::max)
    }

    /// The nearest container from `at` on in the direction of `step`; `nearer` tells which of two
    /// is met first.
    fn seek<L: Bitmaps>(
        &self,
        bitmaps: &L,
        at: i64,
        step: &impl Fn(&L::Bitmap, i64) -> Result<Option<i64>>,
        nearer: &impl Fn(i64, i64) -> i64,
    ) -> Result<Option<i64>> {
        match self {
            Self::Nothing => Ok(None),
            Self::Observed => step(bitmaps.observed(), at),
            Self::Class(class) => bitmaps.class(*class).map_or(Ok(None), |bitmap| step(bitmap, at)),
            Self::Without(program, _) => program.seek(bitmaps, at, step, nearer),
            Self::Any(programs) => {
                let mut first = None;
                for program in programs {
                    let found = program.seek(bitmaps, at, step, nearer)?;
                    first = match (first, found) {
                        (Some(first), Some(found)) => Some(nearer(first, found)),
                        (first, found) => first.or(found),
                    };
                }
                Ok(first)
            }
            // Each moves to where the one before stands, until all stand at the same place.
            Self::All(programs) => {
                let mut agreed = at;
                loop {
                    let mut moved = agreed;
                    for program in programs {
                        match program.seek(bitmaps, moved, step, nearer)? {
                            Some(found) => moved = found,
                            None => return Ok(None),
                        }
                    }
                    if moved == agreed {
                        return Ok(Some(agreed));
                    }
                    agreed = moved;
                }
            }
        }
    }
}

fn signed(expression: &Expression, bitmaps: &impl Bitmaps) -> Result<Signed> {
    match &expression.node {
        expression::Node::Class(class) => {
            let id = match class {
                ClassRef::Id(id) => *id,
                ClassRef::Name(name) => bitmaps.named(name).ok_or_else(|| {
                    Error::invalid(format!("no class is named {name:?}; numbers need no name"))
                })?,
            };
            let program = bitmaps.class(id).map_or(Program::Nothing, |_| Program::Class(id));
            Ok(Signed { program, negative: false })
        }
        expression::Node::Not(inner) => {
            let Signed { program, negative } = signed(inner, bitmaps)?;
            Ok(Signed { program, negative: !negative })
        }
        expression::Node::And(parts) => {
            let (positive, negative) = split(parts, bitmaps)?;
            let excluded = any(negative);
            Ok(if positive.is_empty() {
                Signed { program: excluded, negative: true }
            } else {
                Signed { program: without(all(positive), excluded), negative: false }
            })
        }
        expression::Node::Or(parts) => {
            let (positive, negative) = split(parts, bitmaps)?;
            Ok(if negative.is_empty() {
                Signed { program: any(positive), negative: false }
            } else {
                Signed { program: without(all(negative), any(positive)), negative: true }
            })
        }
        expression::Node::TooDeep => {
            Err(Error::invalid(format!("the expression is nested deeper than {DEPTH_MAX}")))
        }
    }
}

/// The programs of `parts`, and those of which the complement is meant.
fn split(parts: &[Expression], bitmaps: &impl Bitmaps) -> Result<(Vec<Program>, Vec<Program>)> {
    let (mut positive, mut negative) = (Vec::new(), Vec::new());
    for part in parts {
        let signed = signed(part, bitmaps)?;
        if signed.negative { &mut negative } else { &mut positive }.push(signed.program);
    }
    Ok((positive, negative))
}

fn all(mut programs: Vec<Program>) -> Program {
    if programs.contains(&Program::Nothing) {
        return Program::Nothing;
    }
    if programs.len() == 1 {
        return programs.pop().unwrap_or(Program::Nothing);
    }
    Program::All(programs)
}

fn any(mut programs: Vec<Program>) -> Program {
    programs.retain(|program| *program != Program::Nothing);
    if programs.len() > 1 {
        return Program::Any(programs);
    }
    programs.pop().unwrap_or(Program::Nothing)
}

fn without(program: Program, excluded: Program) -> Program {
    match (program, excluded) {
        (program, Program::Nothing) => program,
        (Program::Nothing, _) => Program::Nothing,
        (program, excluded) => Program::Without(Box::new(program), Box::new(excluded)),
    }
}

/// Buffers for what stands between the steps of a program.
#[derive(Debug, Clone, Default)]
pub(crate) struct Scratch {
    free: Vec<Box<Words>>,
}

impl Scratch {
    fn take(&mut self) -> Box<Words> {
        self.free.pop().unwrap_or_else(|| Box::new([0; WORDS]))
    }

    fn give(&mut self, words: Box<Words>) {
        self.free.push(words);
    }
}

impl Program {
    /// Shows the words of a single bitmap where they lie, if they do.
    fn shown<L: Bitmaps>(
        &self,
        bitmaps: &L,
        number: i64,
        read: &mut dyn FnMut(&Words),
    ) -> Result<bool> {
        let bitmap = match self {
            Self::Class(class) => bitmaps.class(*class),
            Self::Observed => Some(bitmaps.observed()),
            _ => None,
        };
        bitmap.map_or(Ok(false), |bitmap| bitmap.shown(number, read))
    }

    /// Writes the program's ticks in container `number` to `words`.
    pub(crate) fn container<L: Bitmaps>(
        &self,
        bitmaps: &L,
        number: i64,
        words: &mut Box<Words>,
        scratch: &mut Scratch,
    ) -> Result<Fill> {
        match self {
            Self::Nothing => Ok(Fill::Empty),
            Self::Observed => bitmaps.observed().container(number, words),
            Self::Class(class) => bitmaps
                .class(*class)
                .map_or(Ok(Fill::Empty), |bitmap| bitmap.container(number, words)),
            Self::All(programs) => {
                fold(programs, bitmaps, number, words, scratch, Fill::Full, kernels::and)
            }
            Self::Any(programs) => {
                fold(programs, bitmaps, number, words, scratch, Fill::Empty, kernels::or)
            }
            Self::Without(program, excluded) => {
                let fill = program.container(bitmaps, number, words, scratch)?;
                if fill == Fill::Empty {
                    return Ok(fill);
                }
                if fill == Fill::Mixed {
                    let mut read = |other: &Words| kernels::and_not(words, other);
                    if excluded.shown(bitmaps, number, &mut read)? {
                        return Ok(fill);
                    }
                }
                let mut other = scratch.take();
                let result = match (fill, excluded.container(bitmaps, number, &mut other, scratch)?)
                {
                    (_, Fill::Full) => Fill::Empty,
                    (fill, Fill::Empty) => fill,
                    (Fill::Full, _) => {
                        std::mem::swap(words, &mut other);
                        kernels::complement(words);
                        Fill::Mixed
                    }
                    (_, Fill::Mixed) => {
                        kernels::and_not(words, &other);
                        Fill::Mixed
                    }
                };
                scratch.give(other);
                Ok(result)
            }
        }
    }
}

impl Program {
    /// How many ticks the program has in container `number`. The last step is counted instead of
    /// written: a pass over the words less.
    pub(crate) fn count_container<L: Bitmaps>(
        &self,
        bitmaps: &L,
        number: i64,
        words: &mut Box<Words>,
        scratch: &mut Scratch,
    ) -> Result<u64> {
        let all = u64::from(BITS);
        let (fill, last) = match self {
            Self::Without(program, excluded) => {
                (program.container(bitmaps, number, words, scratch)?, &**excluded)
            }
            Self::All(programs) | Self::Any(programs) => {
                let Some((last, others)) = programs.split_last() else { return Ok(0) };
                let fill = if matches!(self, Self::All(_)) {
                    fold(others, bitmaps, number, words, scratch, Fill::Full, kernels::and)?
                } else {
                    fold(others, bitmaps, number, words, scratch, Fill::Empty, kernels::or)?
                };
                (fill, last)
            }
            _ => return Ok(amount(self.container(bitmaps, number, words, scratch)?, words)),
        };
        if fill == Fill::Mixed {
            let mut count = 0;
            let mut read = |other: &Words| {
                count = match self {
                    Self::Without(..) => kernels::count_and_not(words, other),
                    Self::All(_) => kernels::count_and(words, other),
                    _ => kernels::count_or(words, other),
                };
            };
            if last.shown(bitmaps, number, &mut read)? {
                return Ok(count);
            }
        }
        let mut other = scratch.take();
        let last = last.container(bitmaps, number, &mut other, scratch)?;
        let count = match (self, fill, last) {
            (Self::Without(..), Fill::Empty, _) | (Self::Without(..), _, Fill::Full) => 0,
            (Self::Without(..), Fill::Full, last) => all - amount(last, &other),
            (Self::Without(..), _, Fill::Mixed) => kernels::count_and_not(words, &other),
            (Self::All(_), Fill::Empty, _) | (Self::All(_), _, Fill::Empty) => 0,
            (Self::All(_), Fill::Full, last) => amount(last, &other),
            (Self::All(_), _, Fill::Mixed) => kernels::count_and(words, &other),
            (Self::Any(_), Fill::Full, _) | (Self::Any(_), _, Fill::Full) => all,
            (Self::Any(_), Fill::Empty, last) => amount(last, &other),
            (Self::Any(_), _, Fill::Mixed) => kernels::count_or(words, &other),
            (_, fill, _) => amount(fill, words),
        };
        scratch.give(other);
        Ok(count)
    }
}

/// How many ticks a container has.
fn amount(fill: Fill, words: &Words) -> u64 {
    match fill {
        Fill::Empty => 0,
        Fill::Full => u64::from(BITS),
        Fill::Mixed => kernels::count(words),
    }
}

/// Combines the containers of all `programs` by `combine`. Containers of the fill `neutral` change
/// nothing; those of the opposite one decide.
fn fold<L: Bitmaps>(
    programs: &[Program],
    bitmaps: &L,
    number: i64,
    words: &mut Box<Words>,
    scratch: &mut Scratch,
    neutral: Fill,
    combine: impl Fn(&mut Words, &Words),
) -> Result<Fill> {
    let mut fill = neutral;
    let mut other = scratch.take();
    for program in programs {
        if fill == Fill::Mixed
            && program.shown(bitmaps, number, &mut |other| combine(words, other))?
        {
            continue;
        }
        let target = if fill == neutral { &mut *words } else { &mut other };
        let next = program.container(bitmaps, number, target, scratch)?;
        if next == neutral {
            continue;
        }
        if next != Fill::Mixed {
            fill = next;
            break;
        }
        if fill == Fill::Mixed {
            combine(words, &other);
        }
        fill = Fill::Mixed;
    }
    scratch.give(other);
    Ok(fill)
}
