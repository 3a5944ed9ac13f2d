//! The two sample callers of `dev --callers`. At each start, new keys are generated for them.

use crate::{
    access::key::Secret,
    config::{Access, ApiKey, CallerOptions, GroupOptions, METHODS, Permission},
};

/// The keys of two callers, which are in one group.
#[derive(Debug)]
pub(super) struct SampleCallers {
    team_a: Secret,
    team_b: Secret,
}

impl SampleCallers {
    /// Generates the keys. Fails with a message if the operating system provides no random bytes.
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

    /// Returns the configuration with the two callers.
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
                    // `embed` needs `InvokeModel`, which is allowed only if it is listed.
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

    /// Returns the key of the first caller, which examples use.
    pub(super) fn first(&self) -> &str {
        self.team_a.reveal()
    }

    /// Returns the text about the callers that `dev` prints.
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
