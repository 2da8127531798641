//! `presence-fsck` as its users run it: on every kind of damage, and killed.

mod calls;
mod corpus;
mod kills;
mod matrix;
mod shapes;
