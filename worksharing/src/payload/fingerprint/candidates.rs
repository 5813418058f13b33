//! The values that a trace makes up, for types that are picky. Their order is part of no hash; a
//! type that accepts none of them is covered by its name.

/// How often a place is tried with other values below it before it is given up.
pub(super) const ATTEMPTS: usize = 34;

pub(super) const BOOLS: &[bool] = &[false, true];
/// The first suits `NonZero` too. All fit in an `i8`, and none is large: it may be taken for a length.
pub(super) const NUMBERS: &[i8] = &[1, 0, 2, 4, 5, 7, 10, 16, 24, 60, 100, -1];
pub(super) const UNSIGNED: &[u8] = &[1, 0, 2, 4, 5, 7, 10, 16, 24, 60, 100];
pub(super) const CHARS: &[char] = &['a', '0', 'A', '/', ' '];
pub(super) const BYTES: &[&[u8]] = &[
    &[],
    &[0; 16],
    &[0; 4],
    &[0; 8],
    &[0; 12],
    &[0; 20],
    &[0; 32],
    &[0],
];
/// The first is long, for code that cuts pieces off without looking.
pub(super) const STRINGS: &[&str] = &[
    "00000000-0000-0000-0000-000000000000",
    "a",
    "",
    "0",
    "1.0.0",
    "1970-01-01",
    "1970-01-01T00:00:00Z",
    "1970-01-01T00:00:00",
    "1970-01-01 00:00:00",
    "00:00:00",
    "http://localhost/",
    "127.0.0.1",
    "::1",
    "127.0.0.1:80",
    "10.0.0.0/8",
    "a@b.co",
    "UTC",
    "+00:00",
    "EUR",
    "en",
    "en-US",
    "/",
    "#000000",
    "true",
    "A",
    "1s",
    "P1D",
    "Mon",
    "January",
    "AAAA",
    "00000000000000000000000000",
    "application/json",
];
/// How many elements a sequence or map has: when its element is still to be seen, and after.
pub(super) const NEW_LENGTHS: &[usize] = &[1, 2, 3, 4, 8, 16, 32];
pub(super) const KNOWN_LENGTHS: &[usize] = &[0, 1, 2, 3, 4, 8, 16, 32];

/// The value for this attempt; they go round.
pub(super) fn pick<T: Copy>(candidates: &[T], attempt: usize) -> T {
    candidates[attempt % candidates.len()]
}
