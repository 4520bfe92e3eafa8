//! Which file of the sources imports from which: by `use`, and by paths from `crate` or `super`
//! within code. A name is followed through what exports it again to the file that owns it; that a
//! folder's `mod.rs` exports names of its children is no import.

use std::collections::BTreeSet;

/// Files as modules, and what they import.
pub struct Imports {
    /// `["engine", "rollout", "prior"]`
    modules: Vec<Vec<String>>,
    uses: Vec<Vec<Use>>,
    /// By file, the files that own what it imports.
    owners: Vec<BTreeSet<usize>>,
}

/// A path that a file names, from the root of the crate, and the name it has there.
struct Use {
    path: Vec<String>,
    name: String,
    is_public: bool,
}

impl Imports {
    /// Of files: each a path of modules, and its code.
    pub fn of(files: &[(Vec<String>, &str)]) -> Imports {
        let modules: Vec<Vec<String>> = files.iter().map(|(module, _)| module.clone()).collect();
        let uses =
            files.iter().map(|(module, code)| uses(module, &tokens(code), &modules)).collect();
        let mut imports = Imports { modules, uses, owners: Vec::new() };
        imports.owners = (0..files.len()).map(|file| imports.owners_of(file)).collect();
        imports
    }

    pub fn name(&self, file: usize) -> String {
        self.modules[file].join("::")
    }

    /// What a file imports from, among some.
    pub fn among(&self, file: usize, some: &[usize]) -> Vec<String> {
        self.owners[file]
            .iter()
            .filter(|owner| some.contains(owner))
            .map(|&owner| self.name(owner))
            .collect()
    }

    /// The sets of files that import each other, however long the way round.
    pub fn circles(&self) -> Vec<Vec<usize>> {
        let reached: Vec<BTreeSet<usize>> =
            (0..self.modules.len()).map(|file| self.reached_from(file)).collect();
        let circle = |file: usize| -> Vec<usize> {
            reached[file].iter().copied().filter(|&other| reached[other].contains(&file)).collect()
        };
        let mut circles: Vec<Vec<usize>> =
            (0..self.modules.len()).map(circle).filter(|circle| circle.len() > 1).collect();
        circles.sort();
        circles.dedup();
        circles
    }

    fn reached_from(&self, file: usize) -> BTreeSet<usize> {
        let mut found = BTreeSet::new();
        let mut left = vec![file];
        while let Some(next) = left.pop() {
            left.extend(self.owners[next].iter().copied().filter(|owner| found.insert(*owner)));
        }
        found
    }

    fn owners_of(&self, file: usize) -> BTreeSet<usize> {
        let own = &self.modules[file];
        let mut found = BTreeSet::new();
        for Use { path, is_public, .. } in &self.uses[file] {
            let Some(owner) = self.owner(path, &mut BTreeSet::new()) else { continue };
            let exports_a_child = *is_public && self.modules[owner].starts_with(own);
            if owner != file && !exports_a_child {
                found.insert(owner);
            }
        }
        found
    }

    /// The file in which the last name of a path is written down.
    fn owner(&self, path: &[String], tried: &mut BTreeSet<Vec<String>>) -> Option<usize> {
        if !tried.insert(path.to_vec()) {
            return None;
        }
        let length = (1..=path.len())
            .rev()
            .find(|&length| self.modules.iter().any(|module| module[..] == path[..length]))?;
        let file = self.modules.iter().position(|module| module[..] == path[..length])?;
        let Some(name) = path.get(length) else { return Some(file) };
        let exported = self.uses[file].iter().filter(|it| it.is_public && it.name == *name);
        exported
            .map(|it| [&it.path, &path[length + 1..]].concat())
            .find_map(|path| self.owner(&path, tried))
            .or(Some(file))
    }
}

/// Words, `::`, and single characters.
fn tokens(code: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut rest = code.trim_start();
    while let Some(first) = rest.chars().next() {
        let word = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
        let length = if word > 0 {
            word
        } else if rest.starts_with("::") {
            2
        } else {
            first.len_utf8()
        };
        found.push(&rest[..length]);
        rest = rest[length..].trim_start();
    }
    found
}

fn uses(module: &[String], tokens: &[&str], modules: &[Vec<String>]) -> Vec<Use> {
    let mut found = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let before = at.checked_sub(1).map(|at| tokens[at]);
        if tokens[at] == "use"
            && before.is_none_or(|before| ["pub", ")", ";", "{", "}", "]"].contains(&before))
        {
            let is_public = before.is_some_and(|before| before == "pub" || before == ")");
            let mut paths = Vec::new();
            at = tree(tokens, at + 1, &[], &mut paths).unwrap_or(at + 1);
            let rooted = paths.into_iter().filter_map(|(path, name)| {
                Some(Use { path: from_root(module, &path, modules)?, name, is_public })
            });
            found.extend(rooted);
        } else if ["crate", "super"].contains(&tokens[at])
            && before != Some("::")
            && before != Some("in")
            && tokens.get(at + 1) == Some(&"::")
        {
            let mut path = vec![tokens[at]];
            while tokens.get(at + 1) == Some(&"::")
                && tokens.get(at + 2).is_some_and(|next| is_word(next))
            {
                path.push(tokens[at + 2]);
                at += 2;
            }
            let path = from_root(module, &path, modules);
            found.extend(path.map(|path| Use { path, name: String::new(), is_public: false }));
            at += 1;
        } else {
            at += 1;
        }
    }
    found
}

/// The paths of a tree of imports, each with its name; where the tree ends.
fn tree<'a>(
    tokens: &[&'a str],
    mut at: usize,
    before: &[&'a str],
    paths: &mut Vec<(Vec<&'a str>, String)>,
) -> Option<usize> {
    let mut path = before.to_vec();
    loop {
        match *tokens.get(at)? {
            "{" => {
                at += 1;
                while *tokens.get(at)? != "}" {
                    at = tree(tokens, at, &path, paths)?;
                    at += usize::from(*tokens.get(at)? == ",");
                }
                return Some(at + 1);
            }
            // all of a module is the module
            "self" | "*" if !path.is_empty() => at += 1,
            word if is_word(word) => {
                path.push(word);
                at += 1;
            }
            _ => return None,
        }
        match *tokens.get(at)? {
            "::" => at += 1,
            "as" => {
                paths.push((path, (*tokens.get(at + 1)?).to_owned()));
                return Some(at + 2);
            }
            _ => {
                let name = path.last().map_or(String::new(), |&last| last.to_owned());
                paths.push((path, name));
                return Some(at);
            }
        }
    }
}

/// A path as it is written in a module, from the root of the crate; `None` of other crates' names.
fn from_root(module: &[String], path: &[&str], modules: &[Vec<String>]) -> Option<Vec<String>> {
    let owned = |path: &[&str]| path.iter().map(|&part| part.to_owned()).collect::<Vec<String>>();
    match *path.first()? {
        "crate" => Some(owned(&path[1..])),
        "self" => Some([module, &owned(&path[1..])].concat()),
        "super" => {
            let up = path.iter().take_while(|&&part| part == "super").count();
            Some([&module[..module.len().checked_sub(up)?], &owned(&path[up..])].concat())
        }
        child => {
            let inside = [module, &[child.to_owned()]].concat();
            modules.contains(&inside).then(|| [module, &owned(path)].concat())
        }
    }
}

fn is_word(token: &str) -> bool {
    token.starts_with(|c: char| c.is_alphanumeric() || c == '_')
}

#[test]
fn names_are_followed_to_the_files_that_own_them() {
    let module = |path: &str| path.split("::").map(str::to_owned).collect::<Vec<_>>();
    let files = [
        (
            module("a"),
            "mod low; mod high; pub use low::{Low, other as Other}; use high::High; struct Error;",
        ),
        (module("a::low"), "pub struct Low; fn f() { let x = \"use it\"; }"),
        (module("a::high"), "use super::{Error, Low}; pub struct High;"),
        (
            module("b"),
            "pub(crate) use crate::a::{self, Other}; use std::fmt; fn f() { crate::a::high::g() }",
        ),
    ];
    let imports = Imports::of(&files);
    let all = [0, 1, 2, 3];
    assert_eq!(imports.among(0, &all), ["a::high"]);
    assert!(imports.among(1, &all).is_empty());
    assert_eq!(imports.among(2, &all), ["a", "a::low"]);
    assert_eq!(imports.among(3, &all), ["a", "a::low", "a::high"]);
    assert_eq!(imports.circles(), [[0, 2]]);
}
