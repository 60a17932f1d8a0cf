using System.CommandLine;
using TorchBridge.Export.Lowering;
using TorchBridge.Training.CommandLine;

namespace TorchBridge.Training.Commands;

/// <summary><c>operators</c>: what the exporter takes.</summary>
internal static class OperatorsCommand
{
    /// <summary>The command with its options.</summary>
    /// <returns>For the program's root command; it prints the Markdown of docs/operators.md.</returns>
    public static Command Build()
    {
        var json = CommonOptions.JsonFile();
        Option<bool> names = new("--names")
        {
            Description = "Only the names, as the head of docs/operators.md has them.",
        };
        var command = new Command(
            "operators",
            "The modules and operations that the exporter takes, with the ONNX operators they "
                + "become.\nExample: operators --json operators.json"
        )
        {
            json,
            names,
        };
        command.SetAction(
            (parsed, _) =>
                CommandRunner.Run(() =>
                {
                    var table = OperatorTable.Default;
                    if (parsed.GetValue(json) is { } file)
                    {
                        static object Row(OperatorRow row) =>
                            new
                            {
                                row.Name,
                                row.Onnx,
                                row.Options,
                                row.Opset,
                            };
                        CommonOptions.WriteJson(
                            file,
                            new { Modules = table.Modules.Select(Row), Operations = table.Operations.Select(Row) }
                        );
                    }

                    Console.Out.Write(
                        parsed.GetValue(names) ? OperatorDocument.Names(table) : OperatorDocument.Markdown(table)
                    );
                    return 0;
                })
        );
        return command;
    }
}
