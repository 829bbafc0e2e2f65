// The storage library, embedded by the bundler: the import is the path of a file. package.json says
// which library "#native" is, by platform condition.
declare module "#native" {
  const path: string;
  export default path;
}
