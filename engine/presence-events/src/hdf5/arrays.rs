//! Fixed and extensible arrays, in which newer files list their chunks.
//!
//! # Invariants
//! - Elements that were never set are left out: of a page that was not begun nothing is read.

use super::input::Input;
use crate::error::Result;

/// Elements by their number.
type Elements = Vec<(u64, Vec<u8>)>;

fn all_ones(element: &[u8], address_bytes: usize) -> bool {
    element.get(..address_bytes).is_none_or(|address| address.iter().all(|&byte| byte == 0xFF))
}

/// Appends those of `bytes` that are set.
fn split(elements: &mut Elements, bytes: &[u8], first: u64, element: usize, address: usize) {
    for (number, one) in (first..).zip(bytes.chunks_exact(element.max(1))) {
        if !all_ones(one, address) {
            elements.push((number, one.to_vec()));
        }
    }
}

/// The elements of the fixed array at an address.
pub(super) fn fixed(input: &mut Input, at: u64) -> Result<Elements> {
    let (address, length) = (input.address_bytes as u64, input.length_bytes as u64);
    let bytes = 8 + length + address;
    let head = input.structure(at, bytes + 4)?;
    input.check(at, &head, bytes as usize)?;
    let mut fields = input.fields(&head);
    let parsed = (|| {
        (fields.bytes(5)? == b"FAHD\0").then_some(())?;
        fields.skip(1)?;
        Some((fields.u8()?, fields.u8()?, fields.length()?, fields.address()?))
    })();
    let Some((element, page_bits, count, block)) = parsed else {
        return Err(input.corrupt(at, "no fixed array where one should be"));
    };
    let mut elements = Vec::new();
    let Some(block) = block else { return Ok(elements) };
    let element = usize::from(element);
    let page = 1_u64 << page_bits.min(32);
    let prefix = 6 + address;
    if count <= page {
        let covered = count.saturating_mul(element as u64).saturating_add(prefix);
        let structure = input.structure(block, covered.saturating_add(4))?;
        input.check(block, &structure, covered as usize)?;
        let bytes = structure.get(prefix as usize..covered as usize).unwrap_or_default();
        split(&mut elements, bytes, 0, element, address as usize);
        return Ok(elements);
    }
    let pages = count.div_ceil(page);
    let covered = pages.div_ceil(8).saturating_add(prefix);
    let structure = input.structure(block, covered.saturating_add(4))?;
    input.check(block, &structure, covered as usize)?;
    let begun = structure.get(prefix as usize..).unwrap_or_default();
    let page_bytes = page * element as u64 + 4;
    for number in 0..pages {
        // The first page is the highest bit.
        let byte = begun.get((number / 8) as usize).copied().unwrap_or(0);
        if byte >> (7 - number % 8) & 1 == 0 {
            continue;
        }
        let start =
            block.saturating_add(covered + 4).saturating_add(number.saturating_mul(page_bytes));
        let held = page.min(count - number * page) * element as u64;
        let structure = input.structure(start, held + 4)?;
        input.check(start, &structure, held as usize)?;
        let bytes = structure.get(..held as usize).unwrap_or_default();
        split(&mut elements, bytes, number * page, element, address as usize);
    }
    Ok(elements)
}

/// What the header of an extensible array says.
#[derive(Debug, Clone, Copy)]
struct Array {
    element: u64,
    /// Bits of the largest number of elements.
    bits: u32,
    index_elements: u64,
    block_elements_min: u64,
    pointers_min: u64,
    page: u64,
    /// Elements up to the last that was set.
    set: u64,
}

impl Array {
    /// Elements of a data block, and data blocks, of the super block with a number.
    fn super_block(&self, number: u32) -> (u64, u64) {
        let elements = self.block_elements_min.saturating_mul(1 << number.div_ceil(2).min(62));
        (elements, 1 << (number / 2).min(62))
    }
}

/// The elements of the extensible array at an address.
pub(super) fn extensible(input: &mut Input, at: u64) -> Result<Elements> {
    let (address, length) = (input.address_bytes as u64, input.length_bytes as u64);
    let bytes = 12 + 6 * length + address;
    let head = input.structure(at, bytes + 4)?;
    input.check(at, &head, bytes as usize)?;
    let mut fields = input.fields(&head);
    let parsed = (|| {
        (fields.bytes(5)? == b"EAHD\0").then_some(())?;
        fields.skip(1)?;
        let mut array = Array {
            element: fields.u8()?.into(),
            bits: fields.u8()?.into(),
            index_elements: fields.u8()?.into(),
            block_elements_min: fields.u8()?.into(),
            pointers_min: fields.u8()?.into(),
            page: 1_u64.checked_shl(fields.u8()?.into())?,
            set: 0,
        };
        (0..4).try_for_each(|_| fields.length().map(|_| ()))?;
        array.set = fields.length()?;
        fields.length()?;
        let possible = array.element > 0
            && array.bits <= 64
            && array.block_elements_min.is_power_of_two()
            && array.pointers_min.is_power_of_two();
        possible.then_some((array, fields.address()?))
    })();
    let Some((array, block)) = parsed else {
        return Err(input.corrupt(at, "no extensible array where one should be"));
    };
    match block {
        Some(block) => index_block(input, &array, block),
        None => Ok(Vec::new()),
    }
}

fn index_block(input: &mut Input, array: &Array, at: u64) -> Result<Elements> {
    let address = input.address_bytes as u64;
    let direct = 2 * (array.pointers_min - 1);
    let first = 2 * array.pointers_min.ilog2();
    let all = 1 + array.bits.saturating_sub(array.block_elements_min.ilog2());
    let supers = u64::from(all.saturating_sub(first));
    let covered = 6 + address + array.index_elements * array.element + (direct + supers) * address;
    let structure = input.structure(at, covered + 4)?;
    input.check(at, &structure, covered as usize)?;
    if !structure.starts_with(b"EAIB\0") {
        return Err(input.corrupt(at, "no index block where one should be"));
    }
    let mut fields = input.fields(&structure);
    fields.skip(6 + address as usize);
    let mut elements = Vec::new();
    let held = fields.bytes((array.index_elements * array.element) as usize).unwrap_or_default();
    split(&mut elements, held, 0, array.element as usize, address as usize);
    let mut number = array.index_elements;
    for super_block in 0..all {
        if number >= array.set {
            break;
        }
        let (block_elements, blocks) = array.super_block(super_block);
        if super_block < first {
            for _ in 0..blocks {
                if let Some(Some(block)) = fields.address() {
                    data_block(input, array, block, (number, block_elements), None, &mut elements)?;
                }
                number = number.saturating_add(block_elements);
            }
        } else {
            if let Some(Some(block)) = fields.address() {
                let place = (number, block_elements, blocks);
                secondary_block(input, array, block, place, &mut elements)?;
            }
            number = number.saturating_add(block_elements.saturating_mul(blocks));
        }
    }
    elements.retain(|(number, _)| *number < array.set);
    Ok(elements)
}

/// A block of addresses of data blocks.
fn secondary_block(
    input: &mut Input,
    array: &Array,
    at: u64,
    (mut number, block_elements, blocks): (u64, u64, u64),
    elements: &mut Elements,
) -> Result<()> {
    let address = input.address_bytes as u64;
    let is_paged = block_elements > array.page;
    let bitmap = if is_paged { (block_elements / array.page).div_ceil(8) } else { 0 };
    let prefix = 6 + address + u64::from(array.bits.div_ceil(8));
    let covered = blocks.saturating_mul(bitmap + address).saturating_add(prefix);
    let structure = input.structure(at, covered.saturating_add(4))?;
    input.check(at, &structure, covered as usize)?;
    let mut fields = input.fields(&structure);
    if fields.bytes(5) != Some(b"EASB\0") {
        return Err(input.corrupt(at, "no super block where one should be"));
    }
    fields.skip(prefix as usize - 5);
    let bitmaps = fields.bytes((blocks * bitmap) as usize).unwrap_or_default().to_vec();
    for index in 0..blocks {
        if number >= array.set {
            break;
        }
        if let Some(Some(block)) = fields.address() {
            // One bit a page, those of all blocks behind each other.
            let first_page = index.saturating_mul(block_elements / array.page.max(1));
            let begun = is_paged.then_some((bitmaps.as_slice(), first_page));
            data_block(input, array, block, (number, block_elements), begun, elements)?;
        }
        number = number.saturating_add(block_elements);
    }
    Ok(())
}

fn data_block(
    input: &mut Input,
    array: &Array,
    at: u64,
    (first, count): (u64, u64),
    begun: Option<(&[u8], u64)>,
    elements: &mut Elements,
) -> Result<()> {
    let address = input.address_bytes as u64;
    let prefix = 6 + address + u64::from(array.bits.div_ceil(8));
    let size = array.element as usize;
    let Some((begun, first_page)) = begun else {
        let covered = count.saturating_mul(array.element).saturating_add(prefix);
        let structure = input.structure(at, covered.saturating_add(4))?;
        if !structure.starts_with(b"EADB\0") {
            return Err(input.corrupt(at, "no data block where one should be"));
        }
        input.check(at, &structure, covered as usize)?;
        let bytes = structure.get(prefix as usize..covered as usize).unwrap_or_default();
        split(elements, bytes, first, size, address as usize);
        return Ok(());
    };
    let held = array.page.saturating_mul(array.element);
    for page in 0..count / array.page {
        let bit = first_page.saturating_add(page);
        let byte = begun.get((bit / 8) as usize).copied().unwrap_or(0);
        if byte >> (7 - bit % 8) & 1 == 0 {
            continue;
        }
        let start = at.saturating_add(prefix + 4).saturating_add(page.saturating_mul(held + 4));
        let structure = input.structure(start, held.saturating_add(4))?;
        input.check(start, &structure, held as usize)?;
        let bytes = structure.get(..held as usize).unwrap_or_default();
        split(elements, bytes, first.saturating_add(page * array.page), size, address as usize);
    }
    Ok(())
}
