//! Writes an image of one colour as PNG. It has one bit per pixel, and is not compressed, so that
//! no library is needed.

const SIGNATURE: &[u8] = b"\x89PNG\r\n\x1a\n";
/// The maximum length of an uncompressed block of zlib.
const MAX_BLOCK: usize = 65_535;

/// Returns an image of this size in pixels.
pub(super) fn plain(width: u64, height: u64, colour: [u8; 3]) -> Vec<u8> {
    let side = |pixels: u64| u32::try_from(pixels).unwrap_or(u32::MAX).to_be_bytes();
    let mut header = Vec::new();
    header.extend(side(width));
    header.extend(side(height));
    // One bit per pixel, as an index in a palette.
    header.extend([1, 3, 0, 0, 0]);
    // Each row has a byte for its filter. All pixels have the index 0.
    let row = 1 + usize::try_from(width.div_ceil(8)).unwrap_or_default();
    let pixels = vec![0; row * usize::try_from(height).unwrap_or_default()];
    let mut image = SIGNATURE.to_vec();
    chunk(&mut image, *b"IHDR", &header);
    chunk(&mut image, *b"PLTE", &colour);
    chunk(&mut image, *b"IDAT", &zlib(&pixels));
    chunk(&mut image, *b"IEND", &[]);
    image
}

fn chunk(image: &mut Vec<u8>, kind: [u8; 4], data: &[u8]) {
    let length = u32::try_from(data.len()).unwrap_or(u32::MAX);
    image.extend(length.to_be_bytes());
    let named = [&kind, data].concat();
    image.extend(&named);
    image.extend(crc32fast::hash(&named).to_be_bytes());
}

/// Returns data as a zlib stream without compression.
fn zlib(data: &[u8]) -> Vec<u8> {
    let mut stream = vec![0x78, 0x01];
    let mut blocks = data.chunks(MAX_BLOCK).peekable();
    while let Some(block) = blocks.next() {
        let length = u16::try_from(block.len()).unwrap_or(u16::MAX);
        stream.push(u8::from(blocks.peek().is_none()));
        stream.extend(length.to_le_bytes());
        stream.extend((!length).to_le_bytes());
        stream.extend(block);
    }
    stream.extend(adler(data).to_be_bytes());
    stream
}

/// Returns the checksum of a zlib stream: Adler-32.
fn adler(data: &[u8]) -> u32 {
    let (low, high) = data.iter().fold((1_u32, 0_u32), |(low, high), byte| {
        let low = (low + u32::from(*byte)) % 65_521;
        (low, (high + low) % 65_521)
    });
    (high << 16) | low
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_and_chunks_are_those_of_the_definitions() {
        assert_eq!(adler(b"Wikipedia"), 0x11e6_0398);
        let image = plain(9, 1, [1, 2, 3]);
        let end = [0, 0, 0, 0, b'I', b'E', b'N', b'D', 0xae, 0x42, 0x60, 0x82];
        assert!(image.ends_with(&end));
        // One row has a byte for the filter, and two bytes for 9 pixels.
        let stored = [0x78, 0x01, 1, 3, 0, 0xfc, 0xff, 0, 0, 0];
        let found = image.windows(stored.len()).any(|bytes| bytes == stored);
        assert!(found, "{image:x?}");
    }
}
