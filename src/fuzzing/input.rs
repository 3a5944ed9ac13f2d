//! Takes structured values from the bytes that a fuzzer mutates.

/// The bytes that are left. Values beyond the end are zero or empty.
#[derive(Clone, Copy, Debug)]
pub(super) struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes one byte.
    pub(super) fn byte(&mut self) -> u8 {
        match self.0.split_first() {
            Some((&first, rest)) => {
                self.0 = rest;
                first
            }
            None => 0,
        }
    }

    /// Takes an integer of eight bytes.
    pub(super) fn number(&mut self) -> u64 {
        (0..8).fold(0, |number, _| number << 8 | u64::from(self.byte()))
    }

    /// Takes the bytes up to the next zero byte.
    pub(super) fn until_zero(&mut self) -> &'a [u8] {
        let end = self.0.iter().position(|&byte| byte == 0);
        let (taken, rest) = self.0.split_at(end.unwrap_or(self.0.len()));
        self.0 = rest.get(1..).unwrap_or_default();
        taken
    }

    /// Takes text up to the next zero byte. Bytes that are not UTF-8 become U+FFFD.
    pub(super) fn text(&mut self) -> String {
        String::from_utf8_lossy(self.until_zero()).into_owned()
    }

    /// Takes all bytes.
    pub(super) fn rest(self) -> &'a [u8] {
        self.0
    }
}

/// Splits bytes into chunks of different lengths, which depend on `seed`. Some are empty.
pub(super) fn chunks(mut bytes: &[u8], seed: u64) -> Vec<&[u8]> {
    let mut random = fastrand::Rng::with_seed(seed);
    // Short chunks find most mistakes; a few long ones keep large inputs fast.
    let longest = [3, 17, 300, 5_000][random.usize(..4)];
    let mut chunks = Vec::new();
    while !bytes.is_empty() {
        let (chunk, rest) = bytes.split_at(random.usize(..=longest).min(bytes.len()));
        chunks.push(chunk);
        bytes = rest;
    }
    chunks
}
