//! The sample callers of `dev --callers`. Their keys are new at each start.

use crate::{
    access::key::Secret,
    config::{Access, ApiKey, CallerOptions, GroupOptions, METHODS, Permission},
};

/// Two callers in one group.
#[derive(Debug)]
pub(super) struct SampleCallers {
    team_a: Secret,
    team_b: Secret,
}

impl SampleCallers {
    /// Generates the keys of the callers. Fails, with a text, if there are no random bytes.
    pub(super) fn generate() -> Result<Self, String> {
        let draw = || {
            Secret::generate()
                .map_err(|_| "the operating system cannot provide random bytes".to_owned())
        };
        Ok(Self {
            team_a: draw()?,
            team_b: draw()?,
        })
    }

    /// Returns the configuration of the callers.
    pub(super) fn access(&self) -> Access {
        let caller = |key: &Secret| CallerOptions {
            keys: vec![ApiKey {
                sha256: key.sha256(),
                not_after: None,
            }],
            groups: vec!["samples".to_owned()],
            ..CallerOptions::default()
        };
        Access {
            required: true,
            open_reflection: true,
            callers: [
                ("team-a".to_owned(), caller(&self.team_a)),
                ("team-b".to_owned(), caller(&self.team_b)),
            ]
            .into(),
            groups: [(
                "samples".to_owned(),
                GroupOptions {
                    description: "The sample callers".to_owned(),
                    // InvokeModel is not one of the default methods, and `embed` needs it.
                    permission: Permission {
                        methods: Some(METHODS.to_vec()),
                        ..Permission::default()
                    },
                    ..GroupOptions::default()
                },
            )]
            .into(),
            ..Access::default()
        }
    }

    /// Returns the key that examples use.
    pub(super) fn first(&self) -> &str {
        self.team_a.reveal()
    }

    /// Returns the text that `dev` prints about them.
    pub(super) fn greeting(&self) -> String {
        format!(
            "
  key of team-a       {}
  key of team-b       {}
",
            self.team_a.reveal(),
            self.team_b.reveal()
        )
    }
}
