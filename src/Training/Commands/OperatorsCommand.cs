using System.CommandLine;
using TorchBridge.Export.Lowering;
using TorchBridge.Training.CommandLine;

namespace TorchBridge.Training.Commands;

/// <summary>The <c>operators</c> command: lists the modules and operations that the exporter supports.</summary>
internal static class OperatorsCommand
{
    /// <summary>Builds the command with its options.</summary>
    /// <returns>The command, to be added to the root command. It prints the Markdown of docs/operators.md.</returns>
    public static Command Build()
    {
        var json = CommonOptions.JsonFile();
        Option<bool> names = new("--names")
        {
            Description = "Print only the names, as at the top of docs/operators.md.",
        };
        var command = new Command(
            "operators",
            "List the modules and operations that the exporter supports, with the ONNX operators they "
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
