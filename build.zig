//! Builds the native half of Pyralog: the storage library, its tests, its generated ABI files.
//! The release targets below are the release matrix; nothing else lists them for Zig.

const std = @import("std");
const builtin = @import("builtin");

comptime {
    if (!std.mem.eql(u8, builtin.zig_version_string, "0.17.0")) {
        @compileError("Pyralog needs Zig 0.17.0, this is " ++ builtin.zig_version_string ++
            "; get it: python3 -m pip install --target .zig ziglang==0.17.0");
    }
}

const Release = struct {
    /// Directory below zig-out/, also the suffix of the condition that package.json selects by.
    name: []const u8,
    /// glibc 2.17 is the floor of Bun's own runtime: the library must not be the stricter part.
    triple: []const u8,
    cpu: []const u8,
};

const releases = [_]Release{
    .{ .name = "linux-x64-gnu", .triple = "x86_64-linux-gnu.2.17", .cpu = "x86_64_v2" },
    .{ .name = "linux-arm64-gnu", .triple = "aarch64-linux-gnu.2.17", .cpu = "baseline" },
    .{ .name = "linux-x64-musl", .triple = "x86_64-linux-musl", .cpu = "x86_64_v2" },
    .{ .name = "linux-arm64-musl", .triple = "aarch64-linux-musl", .cpu = "baseline" },
    .{ .name = "darwin-x64", .triple = "x86_64-macos.13.0", .cpu = "x86_64_v2" },
    .{ .name = "darwin-arm64", .triple = "aarch64-macos.13.0", .cpu = "baseline" },
    .{ .name = "windows-x64", .triple = "x86_64-windows-gnu", .cpu = "x86_64_v2" },
    .{ .name = "windows-arm64", .triple = "aarch64-windows-gnu", .cpu = "baseline" },
};

pub fn build(b: *std.Build) void {
    // Bun's own floor on x86-64 is x86_64_v2. Faster instructions are chosen at run time, so a
    // library that was built on one machine runs on the other.
    const target = b.standardTargetOptions(.{ .default_target = .{
        .cpu_model = if (builtin.cpu.arch == .x86_64)
            .{ .explicit = &std.Target.x86.cpu.x86_64_v2 }
        else
            .baseline,
    } });
    const optimize_choice = b.option(
        std.lang.Optimize,
        "optimize",
        "debug, safe, fast or small (the library and the bench: safe, tests: debug)",
    );
    const optimize = optimize_choice orelse .safe;
    const optimize_tests = optimize_choice orelse .debug;
    const filters = b.option(
        []const []const u8,
        "test-filter",
        "run only the tests whose name holds this text",
    ) orelse &.{};
    const sanitize_thread = b.option(
        bool,
        "sanitize-thread",
        "run the tests under the thread sanitizer",
    ) orelse false;

    const lib = add_library(b, target, optimize);
    const lib_step = b.step("lib", "the library for this machine: zig-out/native");
    lib_step.dependOn(install_library(b, lib, "native"));
    b.getInstallStep().dependOn(lib_step);

    const release_step = b.step("release-libs", "the library for every release target");
    for (releases) |release| {
        const query = std.Target.Query.parse(.{
            .arch_os_abi = release.triple,
            .cpu_features = release.cpu,
        }) catch @panic("a release target does not parse");
        const release_lib = add_library(b, b.resolveTargetQuery(query), .safe);
        release_step.dependOn(install_library(b, release_lib, release.name));
    }

    const tests = add_tests(b, "zig/tests.zig", target, optimize_tests, filters);
    tests.root_module.sanitize_thread = sanitize_thread;
    const test_step = b.step("test", "unit tests");
    test_step.dependOn(add_run(b, tests));
    test_step.dependOn(add_header_check(b, target));

    const fuzz = add_tests(b, "zig/fuzz.zig", target, optimize_choice orelse .safe, filters);
    b.step("fuzz", "fuzz tests; a corpus run, or a search with --fuzz=COUNT")
        .dependOn(add_run(b, fuzz));

    add_abi(b);
    add_bench(b, target, optimize);

    const check_step = b.step("check", "formatting, and whether everything compiles");
    check_step.dependOn(&b.addFmt(.{
        .paths = &.{ b.path("build.zig"), b.path("build.zig.zon"), b.path("zig") },
        .check = true,
    }).step);
    check_step.dependOn(&lib.step);
    check_step.dependOn(&tests.step);
}

fn add_module(
    b: *std.Build,
    root: []const u8,
    target: std.Build.ResolvedTarget,
    optimize: std.lang.Optimize,
) *std.Build.Module {
    return b.createModule(.{
        .root_source_file = b.path(root),
        .target = target,
        .optimize = optimize,
        .link_libc = true,
    });
}

fn add_library(
    b: *std.Build,
    target: std.Build.ResolvedTarget,
    optimize: std.lang.Optimize,
) *std.Build.Step.Compile {
    const module = add_module(b, "zig/abi.zig", target, optimize);
    module.strip = optimize != .debug;
    return b.addLibrary(.{
        .name = "pyralog",
        .linkage = .dynamic,
        // Zig's own x86-64 backend refuses the vector instructions of crc32c.zig.
        .use_llvm = true,
        .root_module = module,
    });
}

fn install_library(
    b: *std.Build,
    lib: *std.Build.Step.Compile,
    directory: []const u8,
) *std.Build.Step {
    return &b.addInstallArtifact(lib, .{
        .dest_dir = .{ .override = .{ .custom = directory } },
        .pdb_dir = .disabled,
        .implib_dir = .disabled,
    }).step;
}

fn add_tests(
    b: *std.Build,
    root: []const u8,
    target: std.Build.ResolvedTarget,
    optimize: std.lang.Optimize,
    filters: []const []const u8,
) *std.Build.Step.Compile {
    return b.addTest(.{
        .use_llvm = true,
        .filters = filters,
        .root_module = add_module(b, root, target, optimize),
    });
}

fn add_run(b: *std.Build, tests: *std.Build.Step.Compile) *std.Build.Step {
    const run = b.addRunArtifact(tests);
    // A cached run would print no counts. The tests read the sources below the build root.
    run.has_side_effects = true;
    run.setCwd(b.path("."));
    return &run.step;
}

/// The C header compiles, and its asserts find the layouts that Zig made.
fn add_header_check(b: *std.Build, target: std.Build.ResolvedTarget) *std.Build.Step {
    const module = b.createModule(.{ .target = target, .optimize = .debug, .link_libc = true });
    const source = b.addWriteFiles().add("header.c", "#include \"pyralog.h\"\n");
    module.addIncludePath(b.path("zig/include"));
    module.addCSourceFile(.{
        .file = source,
        .flags = &.{ "-std=c11", "-Wall", "-Wextra", "-Wpedantic", "-Werror" },
    });
    return &b.addObject(.{ .name = "header", .use_llvm = true, .root_module = module }).step;
}

/// `abi` replaces the checked-in files; `abi-output` writes the same two below zig-out/abi, where
/// the freshness check compares them.
fn add_abi(b: *std.Build) void {
    const generator = b.addExecutable(.{
        .name = "abi_gen",
        .use_llvm = true,
        .root_module = add_module(b, "zig/abi_gen.zig", b.graph.host, .debug),
    });
    const run = b.addRunArtifact(generator);
    const typescript = run.addOutputFileArg("abi.gen.ts");
    const header = run.addOutputFileArg("pyralog.h");

    const update = b.addUpdateSourceFiles();
    update.addCopyFileToSource(typescript, "src/storage/abi.gen.ts");
    update.addCopyFileToSource(header, "zig/include/pyralog.h");
    b.step("abi", "regenerate src/storage/abi.gen.ts and zig/include/pyralog.h")
        .dependOn(&update.step);

    const output_step = b.step("abi-output", "the generated ABI files below zig-out/abi");
    output_step.dependOn(&b.addInstallFile(typescript, "abi/abi.gen.ts").step);
    output_step.dependOn(&b.addInstallFile(header, "abi/pyralog.h").step);
}

fn add_bench(
    b: *std.Build,
    target: std.Build.ResolvedTarget,
    optimize: std.lang.Optimize,
) void {
    const bench = b.addExecutable(.{
        .name = "pyralog_bench",
        .use_llvm = true,
        .root_module = add_module(b, "zig/bench.zig", target, optimize),
    });
    const run = b.addRunArtifact(bench);
    run.addPassthruArgs();
    b.step("bench", "benches of the engine's parts: zig build bench [-- NAME...]")
        .dependOn(&run.step);
}
