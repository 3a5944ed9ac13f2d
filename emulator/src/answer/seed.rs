//! Varies answers without randomness: all numbers are derived from the request.

/// A stream of numbers that is the same for the same text.
#[derive(Clone, Debug)]
pub(super) struct Seed(u64);

impl Seed {
    pub(super) fn of<'a>(parts: impl IntoIterator<Item = &'a str>) -> Self {
        let mut state = 0xcbf2_9ce4_8422_2325_u64;
        for part in parts {
            state = hash(state, part.as_bytes());
            state = hash(state, &[0xff]);
        }
        Self(state)
    }

    /// Returns the initial hash, which identifies the text.
    pub(super) const fn key(&self) -> u64 {
        self.0
    }

    /// Returns the next number (SplitMix64).
    pub(super) const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Returns a number below `limit`. Returns 0 if `limit` is 0.
    pub(super) fn below(&mut self, limit: usize) -> usize {
        let limit = u64::try_from(limit).unwrap_or(u64::MAX).max(1);
        usize::try_from(self.next() % limit).unwrap_or(0)
    }

    /// Returns one of the choices. Returns an empty string if there are none.
    pub(super) fn pick<'a>(&mut self, choices: &[&'a str]) -> &'a str {
        let index = self.below(choices.len());
        choices.get(index).copied().unwrap_or_default()
    }

    /// Returns random letters and digits.
    pub(super) fn base62(&mut self, length: usize) -> String {
        self.letters(
            b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
            length,
        )
    }

    /// Returns random base64 text. `length` is rounded up to whole groups, so that the text can be
    /// decoded.
    pub(super) fn base64(&mut self, length: usize) -> String {
        self.letters(
            b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/",
            length.div_ceil(4) * 4,
        )
    }

    fn letters(&mut self, alphabet: &[u8], length: usize) -> String {
        (0..length)
            .filter_map(|_| {
                let index = self.below(alphabet.len());
                alphabet.get(index).copied().map(char::from)
            })
            .collect()
    }
}

/// Returns the FNV-1a hash of these bytes, starting from `state`.
fn hash(state: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(state, |state, byte| {
        (state ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}
