using TorchBridge.Training.Reports;

namespace TorchBridge.Training.Lab;

/// <summary>The output of a topic: a paragraph, tables and figures.</summary>
/// <param name="Topic">Its name on the command line.</param>
/// <param name="Title">Its heading.</param>
/// <param name="Paragraph">What to look for, and what it means.</param>
internal sealed record LabPage(string Topic, string Title, string Paragraph)
{
    /// <summary>Whether the figures come before the paragraph.</summary>
    public bool OpensWithPicture { get; init; }

    /// <summary>Tables, in order.</summary>
    public IReadOnlyList<LabTable> Tables { get; init; } = [];

    /// <summary>Settings and other multi-line texts, each under its own heading.</summary>
    public IReadOnlyList<(string Heading, string Text)> Texts { get; init; } = [];

    /// <summary>Figures, in order.</summary>
    public IReadOnlyList<Figure> Figures { get; init; } = [];
}

/// <summary>A table.</summary>
/// <param name="Caption">What the table shows, and for which network.</param>
/// <param name="Head">Column names.</param>
/// <param name="Rows">Cells as text.</param>
internal sealed record LabTable(string Caption, string[] Head, IReadOnlyList<string[]> Rows);

/// <summary>The input of a topic.</summary>
/// <param name="Width">Channels of the first convolution of the lab's networks.</param>
/// <param name="Seed">Seed of all random numbers.</param>
/// <param name="Data">Pictures to train small networks on.</param>
/// <param name="Stop">Cancels the work.</param>
internal sealed record LabContext(int Width, int Seed, LabData Data, CancellationToken Stop)
{
    /// <summary>The name of the network in tables and figures.</summary>
    public string Network =>
        Width == 64
            ? "full network, widths 64-128-256-512"
            : FormattableString.Invariant($"reduced network, widths {Width}-{2 * Width}-{4 * Width}-{8 * Width}");
}

/// <summary>A topic of the lab.</summary>
/// <param name="Name">Its name on the command line.</param>
/// <param name="About">One-line description in the help.</param>
/// <param name="Run">Runs the experiment.</param>
internal sealed record LabTopic(string Name, string About, Func<LabContext, LabPage> Run);
