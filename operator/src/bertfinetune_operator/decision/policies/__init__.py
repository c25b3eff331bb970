"""The policies: each looks at a run and answers with a verdict, or None if it has nothing to say."""
