//! Imports of whole files: tables of malformed input, bounds, and recordings where present.

#[cfg(test)]
mod csv_table;
#[cfg(test)]
mod detections;
#[cfg(test)]
mod limits;
#[cfg(test)]
mod recordings;
#[cfg(test)]
mod support;
