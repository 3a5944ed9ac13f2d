//! Regular expressions, as far as the JSON Schemas of tools use them: enough to generate a matching
//! text and to test a text.
//!
//! Literals, `.`, classes, `\d \w \s` and their opposites, groups, alternatives, quantifiers and
//! anchors. Look-around, back-references and Unicode classes are not supported: then nothing is
//! claimed about the pattern.

/// A supported pattern.
#[derive(Debug)]
pub(super) struct Pattern(Vec<Vec<Node>>);

#[derive(Debug)]
struct Node {
    item: Item,
    min: usize,
    max: usize,
}

#[derive(Debug)]
enum Item {
    One(Class),
    Group(Vec<Vec<Node>>),
    Start,
    End,
}

#[derive(Debug)]
struct Class {
    negated: bool,
    ranges: Vec<(char, char)>,
}

impl Class {
    fn has(&self, c: char) -> bool {
        self.ranges
            .iter()
            .any(|(from, to)| (*from..=*to).contains(&c))
            != self.negated
    }

    fn sample(&self) -> Option<char> {
        match self.negated {
            false => self.ranges.first().map(|(from, _)| *from),
            true => ('a'..='z')
                .chain('0'..='9')
                .chain(" -_".chars())
                .find(|c| self.has(*c)),
        }
    }
}

/// How deep groups may nest, how often something is repeated, and how many steps a match may take.
const DEEPEST: usize = 20;
const MOST: usize = 1000;
const STEPS: usize = 20_000;
/// The longest text in characters that is generated or tested: a match needs stack space for each
/// of them.
const LONGEST: usize = 256;

impl Pattern {
    /// Parses a pattern; `None` if it uses unsupported syntax.
    pub(super) fn parse(regex: &str) -> Option<Self> {
        let characters: Vec<char> = regex.chars().collect();
        let mut parser = Parser {
            rest: &characters,
            depth: 0,
        };
        let alternatives = parser.alternatives()?;
        parser.rest.is_empty().then_some(Self(alternatives))
    }

    /// A short matching text, with at least `length` characters if a repetition allows that.
    pub(super) fn sample(&self, length: usize) -> Option<String> {
        (0..=length.min(MOST)).find_map(|extra| {
            let mut text = String::new();
            write(&self.0, extra, &mut text)?;
            (text.chars().count() >= length).then_some(text)
        })
    }

    /// Whether the pattern is found in the text, as JSON Schema defines it. A match that takes too
    /// many steps counts as found; in a text that is too long, nothing is found.
    pub(super) fn matches(&self, text: &str) -> bool {
        let characters: Vec<char> = text.chars().take(LONGEST + 1).collect();
        if characters.len() > LONGEST {
            return false;
        }
        let mut steps = STEPS;
        (0..=characters.len())
            .any(|start| any(&self.0, &characters, start, &mut steps, &mut |_, _| true))
    }
}

fn write(alternatives: &[Vec<Node>], extra: usize, text: &mut String) -> Option<()> {
    for node in alternatives.first()? {
        let times = if node.max > node.min {
            node.max.min(node.min + extra)
        } else {
            node.min
        };
        for _ in 0..times {
            if text.len() > 4 * LONGEST {
                return None;
            }
            match &node.item {
                Item::One(class) => text.push(class.sample()?),
                Item::Group(inner) => write(inner, extra, text)?,
                Item::Start | Item::End => {}
            }
        }
    }
    Some(())
}

/// Continues the match at a position.
type Then<'a> = &'a mut dyn FnMut(usize, &mut usize) -> bool;

fn any(
    alternatives: &[Vec<Node>],
    text: &[char],
    at: usize,
    steps: &mut usize,
    then: Then<'_>,
) -> bool {
    alternatives
        .iter()
        .any(|nodes| sequence(nodes, 0, text, at, steps, then))
}

fn sequence(
    nodes: &[Node],
    done: usize,
    text: &[char],
    at: usize,
    steps: &mut usize,
    then: Then<'_>,
) -> bool {
    let Some(left) = steps.checked_sub(1) else {
        return true;
    };
    *steps = left;
    let Some((node, rest)) = nodes.split_first() else {
        return then(at, steps);
    };
    if done < node.max {
        let more = match &node.item {
            Item::Start => at == 0 && sequence(rest, 0, text, at, steps, then),
            Item::End => at == text.len() && sequence(rest, 0, text, at, steps, then),
            Item::One(class) => {
                text.get(at).is_some_and(|c| class.has(*c))
                    && sequence(nodes, done + 1, text, at + 1, steps, then)
            }
            Item::Group(inner) => any(inner, text, at, steps, &mut |after, steps| {
                // A repetition of the empty text would never end.
                (after > at || done < node.min)
                    && sequence(nodes, done + 1, text, after, steps, then)
            }),
        };
        if more {
            return true;
        }
    }
    let anchor = matches!(node.item, Item::Start | Item::End);
    !anchor && done >= node.min && sequence(rest, 0, text, at, steps, then)
}

struct Parser<'a> {
    rest: &'a [char],
    depth: usize,
}

impl Parser<'_> {
    fn next(&mut self) -> Option<char> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*first)
    }

    fn take(&mut self, c: char) -> bool {
        let found = self.rest.first() == Some(&c);
        if found {
            self.next();
        }
        found
    }

    fn alternatives(&mut self) -> Option<Vec<Vec<Node>>> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return None;
        }
        let mut all = vec![self.nodes()?];
        while self.take('|') {
            all.push(self.nodes()?);
        }
        self.depth -= 1;
        Some(all)
    }

    fn nodes(&mut self) -> Option<Vec<Node>> {
        let mut nodes = Vec::new();
        while let Some(c) = self.rest.first().copied() {
            if c == '|' || c == ')' {
                break;
            }
            let item = self.item()?;
            let (min, max) = self.times()?;
            nodes.push(Node { item, min, max });
        }
        Some(nodes)
    }

    fn item(&mut self) -> Option<Item> {
        Some(match self.next()? {
            '^' => Item::Start,
            '$' => Item::End,
            '.' => Item::One(Class {
                negated: true,
                ranges: vec![('\n', '\n')],
            }),
            '[' => Item::One(self.class()?),
            '(' => {
                if self.take('?') && !self.take(':') {
                    return None;
                }
                let inner = self.alternatives()?;
                self.take(')').then_some(Item::Group(inner))?
            }
            '\\' => Item::One(self.escape()?),
            '*' | '+' | '?' | '{' => return None,
            c => Item::One(literal(c)),
        })
    }

    fn times(&mut self) -> Option<(usize, usize)> {
        let times = match self.rest.first() {
            Some('*') => (0, MOST),
            Some('+') => (1, MOST),
            Some('?') => (0, 1),
            Some('{') => {
                self.next();
                let min = self.number()?;
                let max = match (self.take(','), self.rest.first()) {
                    (true, Some('}')) => MOST.max(min),
                    (true, _) => self.number()?,
                    (false, _) => min,
                };
                if self.rest.first() != Some(&'}') || min > MOST || max < min {
                    return None;
                }
                (min, max)
            }
            _ => return Some((1, 1)),
        };
        self.next();
        self.take('?');
        Some(times)
    }

    fn number(&mut self) -> Option<usize> {
        let mut digits = String::new();
        while let Some(c) = self.rest.first().filter(|c| c.is_ascii_digit()) {
            digits.push(*c);
            self.next();
        }
        digits.parse().ok()
    }

    fn class(&mut self) -> Option<Class> {
        let negated = self.take('^');
        let mut ranges = Vec::new();
        loop {
            match self.next()? {
                ']' => return Some(Class { negated, ranges }),
                '\\' => {
                    let class = self.escape()?;
                    if class.negated {
                        return None;
                    }
                    ranges.extend(class.ranges);
                }
                from => {
                    let range = self.rest.first() == Some(&'-')
                        && self.rest.get(1).is_some_and(|c| *c != ']');
                    if !range {
                        ranges.push((from, from));
                        continue;
                    }
                    self.next();
                    let to = match self.next()? {
                        '\\' => self.next()?,
                        c => c,
                    };
                    ranges.push((from, to));
                }
            }
        }
    }

    fn escape(&mut self) -> Option<Class> {
        let c = self.next()?;
        let ranges: &[(char, char)] = match c.to_ascii_lowercase() {
            'd' => &[('0', '9')],
            'w' => &[('a', 'z'), ('A', 'Z'), ('0', '9'), ('_', '_')],
            's' => &[(' ', ' '), ('\t', '\r')],
            _ => &[],
        };
        match (c, ranges) {
            (c, [_, ..]) => Some(Class {
                negated: c.is_ascii_uppercase(),
                ranges: ranges.to_vec(),
            }),
            ('n', _) => Some(literal('\n')),
            ('t', _) => Some(literal('\t')),
            ('r', _) => Some(literal('\r')),
            (c, _) if c.is_ascii_alphanumeric() => None,
            (c, _) => Some(literal(c)),
        }
    }
}

fn literal(c: char) -> Class {
    Class {
        negated: false,
        ranges: vec![(c, c)],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_match() {
        for (regex, sample) in [
            ("^[A-Z]{2}-[0-9]{4}$", "AA-0000"),
            (r"^\d{3}-\d{2}-\d{4}$", "000-00-0000"),
            ("^(red|green)$", "red"),
            (r"^[a-z0-9._%+-]+@[a-z]+\.[a-z]{2,}$", "a@a.aa"),
            ("x?y+", "y"),
            ("^#[0-9a-fA-F]{6}$", "#000000"),
            ("^(?:ab)+c*$", "ab"),
        ] {
            let pattern = Pattern::parse(regex).expect(regex);
            assert_eq!(pattern.sample(0).as_deref(), Some(sample), "{regex}");
            assert!(pattern.matches(sample), "{regex}");
        }
    }

    #[test]
    fn matches_as_search() {
        let matches = |regex, text| Pattern::parse(regex).expect(regex).matches(text);
        assert!(matches("b+", "abbc"));
        assert!(!matches("^b+$", "abbc"));
        assert!(matches("^(a|ab)c$", "abc"));
        assert!(matches("^[^0-9]*$", "none"));
        assert!(!matches(r"^\S+$", "two words"));
        assert!(!matches("^(a*)*$", "b"));
    }

    #[test]
    fn long_enough() {
        let pattern = Pattern::parse("^[a-z]+$").expect("a pattern");
        assert_eq!(pattern.sample(5).as_deref(), Some("aaaaa"));
    }

    #[test]
    fn what_is_not_understood() {
        for regex in ["(?=x)", r"\p{L}", "[a-", "(", "a{2", "*", r"\1"] {
            assert!(Pattern::parse(regex).is_none(), "{regex}");
        }
    }
}
