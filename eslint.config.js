import { defineConfig } from 'eslint/config';
import tseslint from 'typescript-eslint';

/** Types find most of what a linter could; what is set here beyond the strict rules keeps unions and promises honest. */
export default defineConfig(
  { ignores: ['node_modules/', 'coverage/', 'dist/', 'vendor/', 'images/'] },
  ...tseslint.configs.strictTypeChecked,
  {
    languageOptions: {
      parserOptions: {
        projectService: { allowDefaultProject: ['eslint.config.js'] },
        tsconfigRootDir: import.meta.dirname,
      },
    },
    rules: {
      '@typescript-eslint/switch-exhaustiveness-check': ['error', { considerDefaultExhaustiveForUnions: true }],
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true }],
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_' }],
      '@typescript-eslint/no-confusing-void-expression': ['error', { ignoreArrowShorthand: true }],
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/require-await': 'off', // an async method turns what it throws into a rejection
      '@typescript-eslint/no-invalid-void-type': 'off', // Promise.withResolvers<void>()
      'no-console': 'error',
      eqeqeq: 'error',
    },
  },
  {
    // Pure: no I/O, no clock, no randomness. What decides takes them as arguments.
    files: ['src/pool/**', 'src/template/**'],
    ignores: ['**/*.test.ts'],
    rules: {
      'no-restricted-imports': [
        'error',
        {
          paths: [
            { name: 'node:crypto', allowImportNames: ['createHash'] },
            { name: 'node:net', allowImportNames: ['isIP', 'isIPv4', 'isIPv6'] },
          ],
          patterns: [{ regex: '^node:(?!crypto$|net$)' }],
        },
      ],
      'no-restricted-globals': ['error', 'process', 'performance', 'setTimeout', 'setInterval', 'fetch'],
      'no-restricted-properties': [
        'error',
        { object: 'Date', property: 'now' },
        { object: 'Math', property: 'random' },
      ],
    },
  },
  {
    files: ['src/cli/**', 'scripts/**', 'test/bench/**', 'test/long/**'],
    rules: { 'no-console': 'off' },
  },
);
