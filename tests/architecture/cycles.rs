//! Finds cycles between files: two files that use each other, directly or through others.
//!
//! A re-export is not a use: `mod.rs` may re-export the items of its folder's files. A file that
//! names an item uses the file that defines it.

use std::collections::{BTreeMap, BTreeSet};

use crate::source::{Source, Use};

/// A module by its path: `grpc`, `layers`, `cors`. The root is empty.
type Module = Vec<String>;

/// The maximum number of re-exports that are followed for one name.
const MAX_REEXPORTS: usize = 10;

/// The modules of a crate, and what each re-exports: a name, and where it leads.
struct Modules(BTreeMap<Module, BTreeMap<String, Module>>);

impl Modules {
    fn of(sources: &[Source]) -> Self {
        let names = sources
            .iter()
            .map(|source| (module(source), BTreeMap::new()));
        let mut modules = Self(names.collect());
        for source in sources {
            let module = module(source);
            let reexports: BTreeMap<_, _> = source
                .reexports()
                .into_iter()
                .filter_map(|reexport| {
                    let target = modules.absolute(&module, &reexport.path)?;
                    Some((reexport.name()?.to_owned(), target))
                })
                .collect();
            modules.0.insert(module, reexports);
        }
        modules
    }

    /// A path from the root of the crate. `None` if it leads out of the crate, or is not a path
    /// of modules.
    fn absolute(&self, from: &Module, path: &[String]) -> Option<Module> {
        let first = path.first()?.as_str();
        let supers = path.iter().take_while(|name| *name == "super").count();
        let (base, rest) = match first {
            "crate" | "bedrock_grpc" | "bedrock_emulator" => (&[][..], &path[1..]),
            "self" => (&from[..], &path[1..]),
            "super" => (&from[..from.len().checked_sub(supers)?], &path[supers..]),
            _ => {
                let mut child = from.clone();
                child.push(first.to_owned());
                if path.len() < 2 || !self.0.contains_key(&child) {
                    return None;
                }
                (&from[..], path)
            }
        };
        Some([base, rest].concat())
    }

    /// The module whose file defines what a path from the root names.
    fn definer(&self, path: &[String]) -> Option<Module> {
        let mut path = path.to_vec();
        for _ in 0..MAX_REEXPORTS {
            let length = (0..=path.len())
                .rev()
                .find(|length| self.0.contains_key(&path[..*length]))?;
            let (module, rest) = path.split_at(length);
            match rest.first().and_then(|name| self.0[module].get(name)) {
                Some(target) => path = [target, &rest[1..]].concat(),
                None => return Some(module.to_vec()),
            }
        }
        None
    }
}

fn module(source: &Source) -> Module {
    let mut path: Module = source
        .module_path()
        .into_iter()
        .map(str::to_owned)
        .collect();
    path.pop_if(|name| name == "lib");
    path
}

/// A line for each file in a cycle, with the files of the cycle that it uses.
pub(crate) fn cycles(sources: &[Source]) -> Vec<String> {
    let modules = Modules::of(sources);
    let files: BTreeMap<Module, &str> = sources
        .iter()
        .map(|source| (module(source), source.path.as_str()))
        .collect();
    let mut uses: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for source in sources {
        let from = module(source);
        for Use { path, .. } in source.uses() {
            let used = modules
                .absolute(&from, &path)
                .and_then(|path| modules.definer(&path))
                .and_then(|module| files.get(&module).copied());
            if let Some(used) = used.filter(|used| *used != source.path) {
                uses.entry(&source.path).or_default().insert(used);
            }
        }
    }
    uses.iter()
        .filter_map(|(file, used)| {
            let back: Vec<_> = used
                .iter()
                .copied()
                .filter(|used| reaches(&uses, used, file))
                .collect();
            (!back.is_empty()).then(|| format!("{file}: is in a cycle with {}", back.join(", ")))
        })
        .collect()
}

/// Whether a file uses another one, directly or through others.
fn reaches(uses: &BTreeMap<&str, BTreeSet<&str>>, from: &str, to: &str) -> bool {
    let (mut seen, mut next) = (BTreeSet::new(), vec![from]);
    while let Some(file) = next.pop() {
        if file == to {
            return true;
        }
        if seen.insert(file) {
            next.extend(uses.get(file).into_iter().flatten());
        }
    }
    false
}
