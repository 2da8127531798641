//! Tests of presence-events: every format against facts that other programs verified, cut anywhere,
//! damaged anywhere.
//!
//! # Invariants
//! - Recordings are found where the environment or the workspace has them; else tests say so.

#[cfg(test)]
mod cuts;
#[cfg(test)]
mod damage;
#[cfg(test)]
mod defects;
#[cfg(test)]
mod filters;
#[cfg(test)]
mod hdf5;
#[cfg(test)]
mod packets;
#[cfg(test)]
mod recordings;
#[cfg(test)]
mod representations;
#[cfg(test)]
mod samples;
#[cfg(test)]
mod support;
#[cfg(test)]
mod words;
#[cfg(test)]
mod writers;
